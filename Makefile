# One verb for each task. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
READY_DEV := .venv/ready-dev
SERVE := _build/serve
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport $(filter-out PYTHON,$(filter PYTHON% GIT_%,$(.VARIABLES)))  # of another Python, or of a hook of Git's
# these are said on the command line alone: a shell's own HOST or PORT is not meant for us
WORDS := CERT CH FORGET HOST IDLE KEY LAB LABS LEARNERS NETWORK PLAN PORT START STICK TOGETHER UPGRADE USERS
$(foreach word,$(WORDS),$(if $(filter environment,$(origin $(word))),$(eval $(word) :=)))
.NOTPARALLEL:  # one environment, one folder for the book
PY := $(BIN)/python  # by its path: the make of macOS looks for programs on its own PATH, not on ours
ALONE := $(PY) labs/hermetic.py  # a program after it has an environment and a home of its own, as a lab has

# Of the npm registry, all under the Open Font License.
FONTS := @fontsource-variable/source-serif-4@5.3.1 @fontsource/source-serif-4@5.3.1

.PHONY: help book pdf epub test lab extras record answers plan rehearse handout sheets slides stick preflight class serve bench check steady clean data fonts lock

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(READY)  ## build the static book into _build/html (EDITION=class leaves out the solutions)
	@echo "Building the book into _build/html"
	@$(ALONE) $(PY) scripts/book.py build -W -n --keep-going --quiet .
	@echo "Open _build/html/index.html"

pdf: $(READY_DEV)  ## print the book as one PDF; the next `make book` links it from the cover
	@echo "Printing the book into _build/downloads"
	@$(ALONE) $(PY) scripts/pdf.py

epub: $(READY)  ## bind the book as one EPUB; the next `make book` links it from the cover
	@echo "Binding the book into _build/downloads"
	@rm -rf _build/epub  # a page that is no longer in the book would be bound all the same
	@$(ALONE) $(PY) scripts/book.py build -W -n --keep-going --quiet --builder custom --custom-builder epub .
	@mkdir -p _build/downloads && cp _build/epub/mastering-mlops.epub _build/downloads/

test: $(READY_DEV) check  ## re-execute every lab, compare it with its record, and test everything else
	@echo "Testing: every lab runs once, beside the other tests"
	@$(ALONE) env PYTHONWARNINGS=ignore::UserWarning:pytest_notebook.utils $(BIN)/pytest  # six at its import, harmless, before pytest reads its settings

lab: $(READY)  ## open JupyterLab in my-labs, your own copy of the labs (JUPYTER_OPTIONS="--port=9000 --no-browser")
	@$(MAKE) --no-print-directory book || echo "The book could not be built, so links from the labs to chapters lead nowhere"
	@$(PY) scripts/lab.py $(JUPYTER_OPTIONS)

extras: $(READY)  ## what two labs need and no other: PyTorch and Flower (1.2 GB)
	@$(PYTHON) scripts/environment.py --extras

record: $(READY_DEV)  ## re-execute a lab and record it on purpose: make record LAB=07_drift_detection
	@$(ALONE) $(PY) scripts/record.py $(or $(LAB),$(error Say which lab: make record LAB=07_drift_detection))

answers: $(READY_DEV)  ## what the checks of a lab say to wrong answers: make answers LAB=07_drift_detection
	@$(ALONE) $(PY) scripts/answers.py $(or $(LAB),$(error Say which lab: make answers LAB=07_drift_detection))

plan: $(READY)  ## plan a day of teaching: make plan PLAN=half-day START=09:00 LEARNERS=24
	@$(PY) scripts/workshop_plan.py $(or $(PLAN),half-day) --start "$(or $(START),09:00)" --learners "$(or $(LEARNERS),24)"

rehearse: $(READY)  ## play a plan with a simulated class: make rehearse PLAN=half-day LEARNERS=24
	@$(ALONE) $(PY) scripts/rehearse.py $(or $(PLAN),half-day) --learners "$(or $(LEARNERS),24)"

handout: $(READY) book  ## a lab to print, without its answers, and its key: make handout LAB=07_drift_detection
	@$(PY) scripts/handout.py $(or $(LAB),$(error Say which lab: make handout LAB=07_drift_detection))

sheets: $(READY)  ## what a lab says to wrong answers, for helpers: make sheets LAB=07_drift_detection
	@$(ALONE) $(PY) scripts/sheets.py $(or $(LAB),$(error Say which lab: make sheets LAB=07_drift_detection))

slides: $(READY) book  ## a chapter and its labs as slides, in one file: make slides CH=07
	@$(PY) scripts/slides.py $(or $(CH),$(error Say which chapter: make slides CH=07))

stick: $(READY) book  ## the course, the book and all packages in one folder, to install without a network (STICK="--here" for this system alone)
	@$(PY) scripts/stick.py $(STICK)

preflight:  ## what will go wrong on this machine, or with LEARNERS=24 on a server for a class (changes nothing)
	@$(PYTHON) scripts/preflight.py $(if $(LEARNERS),--learners "$(LEARNERS)") || :

class: $(READY)  ## a class on this server, as root: make class USERS=users.txt HOST=192.0.2.7 (workshop/class_server.md)
	@$(PYTHON) scripts/environment.py --class
	@$(MAKE) --no-print-directory book || echo "The book could not be built, so links from the labs to chapters lead nowhere"
	@$(PY) scripts/classroom.py "$(or $(USERS),users.txt)" $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)") \
	  $(if $(CERT),--cert "$(CERT)") $(if $(KEY),--key "$(KEY)") $(if $(LABS),--labs "$(LABS)") \
	  $(if $(IDLE),--idle "$(IDLE)") $(if $(NETWORK),--network) $(if $(TOGETHER),--together) $(if $(FORGET),--forget "$(FORGET)")

serve: $(READY_DEV) $(SERVE)/conf.py  ## rebuild and reload the book in the browser while you write
	@PYTHONPATH=extensions $(BIN)/sphinx-autobuild --host 127.0.0.1 --port 0 -c $(SERVE) \
	  $(foreach made,_build .venv my-labs __pycache__ .git .pytest_cache .ruff_cache,--ignore '*/$(made)/*') . $(SERVE)/html

$(SERVE)/conf.py: $(READY_DEV) _config.yml _toc.yml  # Sphinx looks beside it for what it names
	@mkdir -p $(SERVE) && ln -sf "$$PWD"/_assets "$$PWD"/_templates "$$PWD"/references.bib "$$PWD"/_config.yml $(SERVE)
	@$(BIN)/jupyter-book config sphinx --config $(SERVE)/_config.yml . > /dev/null

bench: $(READY_DEV)  ## measure labs, tests and builds, or with LEARNERS=30 a class that executes LAB=07_drift_detection
	@$(ALONE) $(PY) scripts/bench.py $(if $(LEARNERS),--learners "$(LEARNERS)") $(if $(LAB),--lab "$(LAB)")

check: $(READY_DEV)  ## format, lint, spelling (changes nothing)
	@echo "Checking format, lint and spelling"
	@$(BIN)/ruff format --check --quiet . || { echo "Run: .venv/bin/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/codespell

steady: $(READY_DEV)  ## execute every lab ten times on a busy machine, and say what differed (LAB=… for one; all take hours)
	@$(ALONE) $(PY) scripts/steady.py $(LAB)

clean:  ## remove what the verbs made, but never my-labs
	@rm -rf _build .venv .pytest_cache .ruff_cache .hypothesis
	@find chapters data extensions labs scripts tally tests -type d -name __pycache__ -prune -exec rm -rf {} +

data: $(READY)  ## generate Tally's applications again
	@$(ALONE) $(PY) data/make_data.py

fonts:  ## fetch the fonts that the style sheet names, and their licences, again (needs npm)
	@command -v npm > /dev/null || { echo "The fonts come from the npm registry, and npm is missing. On Debian or Ubuntu: apt install npm"; exit 1; }
	@npm install --silent --no-save --no-package-lock --ignore-scripts --prefix _build/fonts $(FONTS)
	@cd _build/fonts/node_modules && for font in */*; do \
	  cp $$font/LICENSE "$(CURDIR)"/_assets/fonts/LICENSE-$$(basename $$font).txt || exit 1; done
	@grep -o '[a-z0-9-]*\.woff2' _assets/book.css | while read file; do \
	  cp _build/fonts/node_modules/*/*/files/$$file _assets/fonts/ || exit 1; done

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url $(UPGRADE) \
  --custom-compile-command "make lock"
lock: $(READY)  ## turn requirements*.in into requirements*.txt (UPGRADE=--upgrade for the newest releases)
	@$(COMPILE) requirements.in --output-file requirements.txt
	@$(COMPILE) requirements-dev.in --output-file requirements-dev.txt
	@$(COMPILE) requirements-flower.in --output-file requirements-flower.txt
	@$(COMPILE) requirements-class.in --output-file requirements-class.txt
	@$(PY) scripts/platforms.py

$(READY) $(READY_DEV): export PATH := $(SYSTEM_PATH)  # the system's Python makes it, not the one that it replaces
ifeq ($(wildcard $(PY)),)  # the system's Python is gone, and the environment with it
.PHONY: $(READY) $(READY_DEV)
endif
ifneq ($(shell sed -n 2p $(READY) 2> /dev/null),$(CURDIR))  # moved or copied: the program looks closer
.PHONY: $(READY) $(READY_DEV)
endif
INSTALLED := pyproject.toml scripts/environment.py scripts/kernel.py labs/hermetic.py
$(READY): requirements.txt $(INSTALLED)
	@$(PYTHON) scripts/environment.py

$(READY_DEV): requirements.txt requirements-dev.txt $(INSTALLED)
	@$(PYTHON) scripts/environment.py --dev

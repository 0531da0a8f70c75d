# One verb for each task. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The kernel of every lab, whoever starts it: telemetry off, and sums that do not depend on the number of threads.
KERNEL_ENV := MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true DVC_NO_ANALYTICS=true RAY_USAGE_STATS_ENABLED=0 \
  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONHASHSEED=0 PYDEVD_DISABLE_FILE_VALIDATION=1

# Of the npm registry, all under the Open Font License.
FONTS := @fontsource-variable/source-serif-4@5.3.1 @fontsource/source-serif-4@5.3.1

.PHONY: help book pdf epub test lab record serve bench check clean data fonts lock

help:  ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

book: $(READY)  ## build the static book into _build/html
	@echo "Building the book into _build/html"
	@jupyter-book build -W -n --keep-going --quiet .
	@echo "Open _build/html/index.html"

pdf: $(READY)  ## print the book as one PDF; the next `make book` links it from the cover
	@echo "Printing the book into _build/downloads"
	@python scripts/pdf.py

epub: $(READY)  ## bind the book as one EPUB; the next `make book` links it from the cover
	@echo "Binding the book into _build/downloads"
	@rm -rf _build/epub  # a page that is no longer in the book would be bound all the same
	@jupyter-book build -W -n --keep-going --quiet --builder custom --custom-builder epub .
	@mkdir -p _build/downloads && cp _build/epub/mastering-mlops.epub _build/downloads/

test: $(READY) check  ## re-execute every lab, compare it with its record, and test everything else
	@echo "Testing: every lab runs once, two at a time"
	@PYTHONWARNINGS=ignore::UserWarning:pytest_notebook.utils pytest  # six at its import, harmless, before pytest reads its settings

lab: $(READY)  ## open JupyterLab in my-labs, your own copy of the labs
	@python scripts/learner.py
	@echo "Starting JupyterLab in my-labs (your changes there are never overwritten)"
	@jupyter lab --ServerApp.ip=127.0.0.1 --LabApp.default_url=/lab/tree/my-labs $(JUPYTER_OPTIONS)

record: $(READY)  ## re-execute a lab and record it on purpose: make record LAB=07_drift_detection
	@python scripts/record.py $(or $(LAB),$(error Say which lab: make record LAB=07_drift_detection))

serve: $(READY)  ## rebuild and reload the book in the browser while you write
	@mkdir -p _build/serve && jupyter-book config sphinx . > /dev/null && mv conf.py _build/serve/
	@PYTHONPATH=extensions sphinx-autobuild --host 127.0.0.1 --port 0 -c _build/serve --ignore '*/_build/*' --ignore '*/.venv/*' --ignore '*/my-labs/*' \
	  . _build/serve/html

bench: $(READY)  ## measure labs, tests and builds
	@python scripts/bench.py

check: $(READY)  ## format, lint, spelling (changes nothing)
	@echo "Checking format, lint and spelling"
	@ruff format --check --quiet . || { echo "Run: .venv/bin/ruff format ."; exit 1; }
	@ruff check --quiet .
	@codespell

clean:  ## remove what the verbs made, but never my-labs
	@rm -rf _build .venv .pytest_cache .ruff_cache

data: $(READY)  ## generate Tally's applications again
	@python data/make_data.py

fonts:  ## fetch the fonts that the style sheet names, and their licences, again (needs npm)
	@command -v npm > /dev/null || { echo "The fonts come from the npm registry, and npm is missing. On Debian or Ubuntu: apt install npm"; exit 1; }
	@npm install --silent --no-save --no-package-lock --ignore-scripts --prefix _build/fonts $(FONTS)
	@cd _build/fonts/node_modules && for font in */*; do \
	  cp $$font/LICENSE $(CURDIR)/_assets/fonts/LICENSE-$$(basename $$font).txt || exit 1; done
	@grep -o '[a-z0-9-]*\.woff2' _assets/book.css | while read file; do \
	  cp _build/fonts/node_modules/*/*/files/$$file _assets/fonts/ || exit 1; done

lock: $(READY)  ## turn requirements.in into requirements.txt (UPGRADE=--upgrade for the newest releases)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url $(UPGRADE) \
	  --custom-compile-command "make lock" requirements.in --output-file requirements.txt

$(READY): requirements.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This course needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 book"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make an environment: its venv module is missing. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making the environment in .venv (once, a minute or two)"
	@$(PYTHON) -m venv --clear .venv
	@python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.txt)"
	@uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.txt
	@python -m ipykernel install --sys-prefix --name python3 --display-name "Mastering MLOps" \
	  $(foreach pair,$(KERNEL_ENV),--env $(subst =, ,$(pair))) > /dev/null
	@jupyter labextension disable --level=sys_prefix "@jupyterlab/apputils-extension:announcements" 2> /dev/null  # it would ask the network
	@python -c 'import matplotlib.font_manager'  # builds its cache now, not in the first lab
	@touch $@

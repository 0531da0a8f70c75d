"""One environment: what is asked for is locked, and every lab's kernel is quiet and deterministic."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

ASKED = (ROOT / "requirements.in").read_text()
LOCK = (ROOT / "requirements.txt").read_text()


def names(text):
    return re.findall(r"^([A-Za-z][\w.-]*)", text, flags=re.MULTILINE)


def test_everything_asked_for_has_a_reason_or_is_named_by_the_course():
    fixed = {"matplotlib", "scikit-learn", "scipy"}
    unexplained = [
        line for line in ASKED.splitlines() if line and "#" not in line and line.split()[0] not in fixed
    ]
    assert not unexplained


def test_everything_asked_for_is_locked():
    assert set(names(ASKED)) <= set(names(LOCK))


def test_the_lock_has_a_digest_for_everything_and_names_no_host():
    pinned = re.findall(r"^[A-Za-z][\w.\-\[\]]*==[^\\]*\\\n\s+--hash=sha256:", LOCK, flags=re.MULTILINE)
    assert len(pinned) == len(names(LOCK))
    assert "://" not in LOCK


def test_the_kernel_sends_no_telemetry_and_sums_in_one_order():
    kernel = json.loads((Path(sys.prefix) / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["env"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert kernel["env"]["DO_NOT_TRACK"] == "true"
    assert kernel["env"]["OMP_NUM_THREADS"] == "1"


def make(*arguments, cwd=ROOT, **environment):
    command = [shutil.which("make"), "--no-print-directory", *arguments]
    without = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=without | environment)


@pytest.mark.parametrize(
    "verb", "book pdf epub test lab record serve bench check clean data fonts lock".split()
)
def test_make_alone_lists_the_verb(verb):
    assert re.search(rf"^{verb}\s+\w", make().stdout, flags=re.MULTILINE)


def test_every_font_is_used_and_stands_beside_its_licence():
    fonts = {path.name for path in (ROOT / "_assets" / "fonts").glob("*.woff2")}
    assert fonts == set(re.findall(r"[a-z0-9-]+\.woff2", (ROOT / "_assets" / "book.css").read_text()))
    licences = {path.stem: path.read_text() for path in (ROOT / "_assets" / "fonts").glob("LICENSE-*.txt")}
    assert set(licences) == {"LICENSE-" + name.partition("-latin-")[0] for name in fonts}
    assert all("SIL OPEN FONT LICENSE Version 1.1" in text for text in licences.values())


def test_fonts_without_npm_says_how(tmp_path):
    done = make("fonts", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "apt install npm" in done.stdout


def test_record_without_a_lab_says_how():
    done = make("record")
    assert done.returncode != 0
    assert "make record LAB=07_drift_detection" in done.stderr


def test_record_of_an_unknown_lab_lists_the_labs():
    done = make("record", "LAB=no_such_lab")
    assert done.returncode != 0
    assert "07_drift_detection" in done.stderr


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("3.9", "needs Python 3.11"),
        ("no venv", "python3-venv"),
    ],
)
def test_an_unfit_python_gets_one_clear_sentence(tmp_path, answers, said):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements.txt").write_text("")
    python = tmp_path / "python"
    refuses = "version_info" if answers == "3.9" else "ensurepip"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) echo "Python 3.9.1";; *{refuses}*) exit 1;; esac\nexit 0\n'
    )
    python.chmod(0o755)
    done = make("book", f"PYTHON={python}", cwd=tmp_path)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1

"""What goes wrong on a machine is said before it does, in one sentence each, and nothing is changed."""

import socket
import subprocess
import sys

import preflight
import programs as lab_programs
import pytest
from conftest import LABS, ROOT, needed
from preflight import GIB

GOOD = ((3, 12, 1), ("glibc", (2, 36)), "Linux", "x86_64", (0, 0))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({0: (3, 15, 0)}, "newer than what the course was locked for"),
        ({1: ("", (0, 0))}, "no glibc"),
        ({1: ("glibc", (2, 27))}, "older than 2.28"),
        ({2: "Darwin", 3: "arm64", 4: (15, 1)}, None),
        ({2: "Darwin", 3: "arm64", 4: (13, 6)}, "older than 14"),
        ({2: "Darwin", 3: "x86_64", 4: (15, 1)}, "Intel"),
        ({3: "riscv64"}, "no packages for a processor of the kind riscv64"),
        ({2: "Windows", 3: "AMD64"}, None),
        ({2: "Windows", 3: "ARM64"}, "Windows on ARM"),
    ],
)
def test_a_kind_of_machine(changed, said):
    given = [changed.get(place, value) for place, value in enumerate(GOOD)]
    sentences = list(preflight.of_system(*given))
    assert sentences == [] if said is None else (len(sentences) == 1 and said in sentences[0])


def test_memory_of_a_laptop():
    assert not list(preflight.of_memory(8 * GIB, GIB))
    assert "tight" in next(preflight.of_memory(2 * GIB, GIB))
    assert "the largest lab takes 1.0" in next(preflight.of_memory(GIB / 2, GIB))


def test_memory_and_processors_of_a_server():
    assert not list(preflight.of_class(24, 64 * GIB, 4, GIB))
    (memory,) = preflight.of_class(24, 16 * GIB, 4, GIB)
    assert "need 31 GiB" in memory and "enough for 12" in memory  # (16 - 1) / 1.25
    (processors,) = preflight.of_class(24, 64 * GIB, 2, GIB)
    assert "takes 12 when all run it at once" in processors


def test_a_port_in_use_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not list(preflight.of_port(port)), "nobody listens yet"
        taken.listen()
        assert "in use" in next(preflight.of_port(port))
    assert not list(preflight.of_loopback())


def test_a_missing_program_names_its_labs():
    assert not list(preflight.of_programs({"a": ["x"]}, lambda name: True))
    (said,) = preflight.of_programs({"a": ["x"], "b": ["x", "y"]}, lambda name: name == "y")
    assert said.startswith("x is missing, for a and b: see")
    (said,) = preflight.of_programs({"a": ["torch"]}, lambda name: False)
    assert said.startswith("torch is missing, for a: make extras")
    assert preflight.EXTRAS == lab_programs.EXTRAS


def test_what_labs_need_is_read_from_them():
    labs = preflight.courses(ROOT)
    assert {path.stem: needed(path) for path in LABS} == {name: names for name, (_, names) in labs.items()}
    assert all(2**27 < peak < 2**31 for peak, _ in labs.values())


def test_an_environment_that_does_not_work_is_said(tmp_path):
    assert not list(preflight.of_environment(ROOT, preflight.programs(ROOT / ".venv") / "python"))
    assert "not installed yet" in next(preflight.of_environment(ROOT, tmp_path / "python"))
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho ModuleNotFoundError: pandas >&2; exit 1\n")
    broken.chmod(0o700)
    assert "fails with `ModuleNotFoundError: pandas`" in next(preflight.of_environment(ROOT, broken))


def test_it_ends_with_a_count_and_changes_nothing(tmp_path):
    path = tmp_path / "bin"
    path.mkdir()
    before = sorted(ROOT.iterdir())
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "preflight.py", "--learners", "500"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and not done.stderr
    assert any(line.startswith("- 500 learners who run the largest lab at once need ") for line in lines)
    assert lines[-1].startswith(f"{len(lines) - 1} things to see to")
    assert sorted(ROOT.iterdir()) == before
    refused = subprocess.run(
        [sys.executable, ROOT / "scripts" / "preflight.py", "--learners", "0"], capture_output=True, text=True
    )
    assert "LEARNERS is a number of people, and not 0" in refused.stderr

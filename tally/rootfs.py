"""The files of an image that begins from nothing (Containerfile.scratch): the Python that runs this, some packages
with all that they ask for, and the shared libraries that these load.

"""

import marshal
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import SourceFileLoader
from importlib.metadata import distribution
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

UNUSED = (
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "idlelib",
    "tkinter",
    "ensurepip",
    "config-*",
)


def closure(wanted: list[str]) -> list[str]:
    """The names of all packages that the requirements `wanted` bring, their own and those that
    they ask for, sorted."""
    found, waiting = set(), [Requirement(one) for one in wanted]
    while waiting:
        one = waiting.pop()
        if (name := canonicalize_name(one.name)) in found:
            continue
        found.add(name)
        asked = map(Requirement, distribution(name).requires or [])
        waiting += [
            needed
            for needed in asked
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in {"", *one.extras})
        ]
    return sorted(found)


def files(package: str) -> dict[Path, Path]:
    """{place below the folder of packages: where it is now} of an installed package's files, without
    its programs, bytecode and tests."""
    installed = distribution(package)
    return {
        Path(one): Path(installed.locate_file(one))
        for one in installed.files
        if not {"..", "test", "tests"} & set(one.parts) and one.suffix != ".pyc"
    }


def loaded(modules: list[str]) -> tuple[set[Path], set[Path]]:
    """What Python has loaded once it has imported `modules`: the shared libraries with the loader itself,
    and the sources."""
    loader = subprocess.run(["ldd", Path(sys.executable).resolve()], capture_output=True, text=True).stdout
    listed = (
        "print(*(one.__file__ for one in [*sys.modules.values()] if hasattr(one, '__cached__')), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(modules)}; {listed}"],
        env=os.environ | {"LD_DEBUG": "libs"},  # the loader tells on standard error what it does
        capture_output=True,
        text=True,
        check=True,
    )
    libraries = re.findall(r"(?<!\S)/\S+", loader) + re.findall(r"calling init: (/.+)", done.stderr)
    sources = [one for one in done.stdout.splitlines() if one.endswith(".py")]
    return {Path(one) for one in libraries}, {Path(one) for one in sources}


def gather(folder: Path, packages: list[str], modules: list[str]) -> None:
    """Lay out below `folder`: /usr with Python, /packages with exactly these packages, the shared
    libraries that `modules` load where the loader looks for them, and /tmp."""
    base = Path(sys.base_prefix).resolve()
    library = Path(sysconfig.get_path("stdlib")).resolve()
    standard = folder / "usr" / sys.platlibdir / library.name
    copy(Path(sys.executable).resolve(), folder / "usr" / "bin" / "python3")
    shutil.copytree(library, standard, ignore=shutil.ignore_patterns(*UNUSED))
    places = {
        source: folder / "packages" / place
        for package in packages
        for place, source in files(package).items()
    }
    for source, place in places.items():
        copy(source, place)
    libraries, sources = loaded(modules)
    for found in libraries:
        if found.is_relative_to(library) or "site-packages" in found.parts:
            continue  # Python's and the packages' own, which are there already
        inside = (
            Path("usr") / found.relative_to(base) if found.is_relative_to(base) else found.relative_to("/")
        )
        copy(found, folder / inside)
    for source in sources:
        if source in places:
            keep_bytecode(source, places[source])
        elif source.is_relative_to(library):
            keep_bytecode(source, standard / source.relative_to(library))
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)  # anybody's, as it is everywhere


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def keep_bytecode(source: Path, target: Path) -> None:
    """Write beside `target` what Python has compiled of `source`. Without it each start of a container
    compiles all again. It is marked as valid whatever the time of the file, because a build may change that."""
    code = SourceFileLoader("", str(source)).get_code("")
    valid = (1).to_bytes(4, "little") + source_hash(source.read_bytes())
    compiled = Path(cache_from_source(target))
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(MAGIC_NUMBER + valid + marshal.dumps(code))


if __name__ == "__main__":  # in tally/: python -m tally.rootfs rootfs
    asked = (Path(__file__).parent / "requirements.in").read_text().splitlines()
    gather(
        Path(sys.argv[1]),
        closure([line for line in asked if line and not line.startswith("#")]),
        ["tally.service", "uvicorn.main"],
    )

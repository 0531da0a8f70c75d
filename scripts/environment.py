"""Make the course's environment in `.venv`, or bring it up to date: `python3 scripts/environment.py`.

Needs Python 3.11 or newer and nothing else, on Linux, macOS and Windows; the Makefile calls it. With `--dev` it
adds what only makers need. pip and uv keep what the user has set about mirrors, proxies and certificates, and each
learns what is set for the other alone. Whatever else is set for them, which might put packages elsewhere, they
don't get to see. An installation that was interrupted is begun again by the next call, and so is one whose folder was
moved or copied: its programs name the old place.

With `--extras` it adds what two labs need and the rest does not. PyTorch is too large for everybody, and scikit-learn
would load it in each service if it saw it, so it has a folder of its own, `.venv/torch`. Flower, whose requirements
contradict ours, has an environment of its own, `.venv/flower`. With `--class` it adds JupyterHub, for the server of a
class.
"""

import argparse
import configparser
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
TORCH = "torch==2.13.0"
ROOM = 4e9  # bytes: the environment takes 3.2 GB with what makers need, the rest passes through the cache

# Where packages come from and how they are reached, in pip's words and in those of a uv.toml. uv takes the
# environment's variables before the file's entries.
SOURCES = {
    "index-url": ("index-url", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
    "extra-index-url": ("extra-index-url", ["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
    "find-links": ("find-links", ["UV_FIND_LINKS"]),
    "no-index": ("no-index", ["UV_OFFLINE"]),
    "trusted-host": ("allow-insecure-host", ["UV_INSECURE_HOST"]),
}
LISTS = ("extra-index-url", "find-links", "trusted-host")
# What else of pip's settings and of uv's variables says how packages are reached, and not where they are put.
PIP_KEEPS = {
    *SOURCES,
    "cert",
    "client-cert",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "keyring-provider",
}
UV_KEEPS = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX|INDEX_\w+|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|INSECURE_HOST|KEYRING_PROVIDER|HTTP_\w+"
    r"|REQUEST_TIMEOUT|CACHE_DIR|NO_CACHE|LINK_MODE|CONCURRENT_\w+|NATIVE_TLS|SYSTEM_CERTS)"
)
UV_TOML_KEEPS = {*(name for name, _ in SOURCES.values()), "index", "index-strategy", "keyring-provider", "offline"} | {
    "cache-dir", "no-cache", "link-mode", "native-tls", "system-certs"
}  # fmt: skip


class Unfit(Exception):
    """The environment cannot be made; the message is one sentence that says what to do."""


def check_machine(version, modules, folder):
    """Raise Unfit if this Python is too old or incomplete, or `folder` can't hold an environment."""
    said = ".".join(map(str, version[:3]))
    if version[:2] < OLDEST:
        raise Unfit(
            f"This course needs Python 3.11 or newer, and this is {said}. Try: make PYTHON=python3.12 book"
        )
    for module in modules:
        try:
            __import__(module)
        except ImportError:
            raise Unfit(
                f"{sys.executable} cannot make an environment: its venv module is missing. "
                "On Debian or Ubuntu: apt install python3-venv"
            ) from None
    for sign, who in (
        (os.pathsep, "programs do not start"),
        ("%", "MLflow makes no database"),
        ("\n", "make stops"),
    ):
        if sign in str(folder):
            raise Unfit(f"Below a folder with {sign!r} in its name {who}: rename it. This is {folder.parent}")
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise Unfit(f"{folder} is not a folder, and the environment goes there: remove it or rename it.")
    if not folder.exists() and shutil.disk_usage(folder.parent).free < ROOM:
        raise Unfit(
            f"The environment needs {ROOM / 1e9:.0f} GB, and less is free in {folder.parent}: make room first."
        )


def clean(environment):
    """`environment` without what leads Python, pip, uv or Jupyter elsewhere; registry settings follow separately."""
    kept = {
        name: value
        for name, value in environment.items()
        if not re.match(
            r"(PYTHON|PIP_|UV_|JUPYTER|IPYTHON|VIRTUAL_ENV|CONDA_|__PYVENV_LAUNCHER__|MPLBACKEND)", name
        )
        or UV_KEEPS.fullmatch(name)
    }
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def pip_settings(python, environment):
    """What the user has set for pip, by file or variable, and we keep: {"index-url": …}, lists as lists."""
    visible = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    done = subprocess.run(  # `pip config list` would say less: a `user = true` anywhere narrows it
        [python, "-m", "pip", "config", "debug"],
        env=visible,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise Unfit(f"pip cannot read your settings of it:\n{(done.stderr or done.stdout).strip()}")
    files, kind = [], ""
    for line in done.stdout.splitlines():
        if line.rstrip(":") in ("global", "user", "site", "env"):
            kind = line.rstrip(":")
        elif line.endswith(", exists: True"):
            files.append((kind, line.strip()[: -len(", exists: True")]))
    files.sort(key=lambda file: ("global", "user", "site", "env").index(file[0]))  # the later ones prevail
    read = configparser.RawConfigParser()
    if environment.get("PIP_CONFIG_FILE") != os.devnull:
        read.read([path for _, path in files], encoding="utf-8")

    found = [item for part in ("global", "install") if read.has_section(part) for item in read.items(part)]
    found += [(name[4:], value) for name, value in environment.items() if name.startswith("PIP_")]
    settings = {name.lower().replace("_", "-"): value for name, value in found if value}
    return {
        name: value.split() if name in LISTS else value
        for name, value in settings.items()
        if name in PIP_KEEPS
    }


def uv_files(environment):
    """The files in which uv looks for a user's settings, the stronger ones last."""
    if environment.get("UV_CONFIG_FILE"):
        named = Path(environment["UV_CONFIG_FILE"])
        if not named.is_file():
            raise Unfit(f"UV_CONFIG_FILE names {named}, and no such file exists: mend or unset it.")
        return [named]
    if os.name == "nt":
        folders = [environment.get("PROGRAMDATA"), environment.get("APPDATA")]
    else:
        folders = ["/etc", environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"]
    return [Path(folder) / "uv" / "uv.toml" for folder in folders if folder]


def uv_settings(environment):
    """What the user has set for uv by file and we keep, as in a uv.toml."""
    import tomllib  # not before Python 3.11

    settings = {}
    for path in filter(Path.is_file, uv_files(environment)):
        try:
            read = tomllib.loads(path.read_text(encoding="utf-8"))
            if not isinstance(read.get("pip", {}), dict):
                raise ValueError("pip must be a table")
            both = read.get("pip", {}) | read
            kept = {name: value for name, value in both.items() if name in UV_TOML_KEEPS}
            for name, value in kept.items():
                check_form(name, value)
        except (OSError, ValueError) as error:
            raise Unfit(f"uv's settings in {path} cannot be read: {error}") from None
        settings |= kept
    return settings


def check_form(name, value):
    """Raise ValueError unless `value` has the form in which we and uv read `name`."""
    if name == "index":
        tables = value if isinstance(value, list) else [value]
        good = all(isinstance(table, dict) and isinstance(table.get("url"), str) for table in tables)
        good, form = good and isinstance(value, list), "tables, each with a url"
    elif name in ("extra-index-url", "find-links", "allow-insecure-host"):
        good, form = (
            isinstance(value, list) and all(isinstance(each, str) for each in value),
            "a list of texts",
        )
    elif name in ("offline", "no-index", "no-cache", "native-tls", "system-certs"):
        good, form = isinstance(value, bool), "true or false"
    else:
        good, form = isinstance(value, str), "a text"
    if not good:
        raise ValueError(f"{name} must be {form}")


def for_pip(environment, settings):
    """What uv has been told of registries, in pip's words."""
    told = {}
    for index in settings.get("index", []):
        if index.get("explicit"):  # for packages that a project names, and the course names none
            continue
        if index.get("default"):
            told["index-url"] = index["url"]
        else:
            told.setdefault("extra-index-url", []).append(index["url"])
    for name, (in_file, variables) in SOURCES.items():
        if in_file in settings:
            told[name] = settings[in_file]
        for variable in variables:
            if environment.get(variable):
                separator = "," if name == "find-links" else None
                listed = [re.sub(r"^[\w-]+=", "", each) for each in environment[variable].split(separator)]
                told[name] = listed if name in LISTS else listed[0]
                break
    return told


def settle(python, environment):
    """The environment of pip and uv, and the text of the uv.toml that goes with it."""
    pip, toml = pip_settings(python, environment), uv_settings(environment)
    child = clean(environment)
    told = for_pip(child, toml)

    for name, (in_file, _) in SOURCES.items():
        if name not in told and name in pip:
            toml[in_file] = (
                str(pip[name]).lower() in ("1", "t", "true", "y", "yes", "on")
                if name == "no-index"
                else pip[name]
            )
    for settings in (pip, toml, told):
        for name in {"extra-index-url", "find-links"} & settings.keys():
            settings[name] = [place for place in map(address, settings[name]) if not missing(place)]
    if toml.get("extra-index-url") or toml.get("index"):
        # as pip does: the best of all indexes. The digests in the lock say which file is the right one.
        toml.setdefault("index-strategy", "unsafe-best-match")

    for name in {"cert", "client-cert"} & pip.keys():
        pip[name] = absolute(pip[name])
    certificates = child.get("SSL_CERT_FILE") or pip.get("cert") or child.get("REQUESTS_CA_BUNDLE")
    if certificates:
        child.setdefault("SSL_CERT_FILE", certificates)
        pip.setdefault("cert", certificates)
    if pip.get("proxy"):
        child |= {name: pip["proxy"] for name in ("HTTPS_PROXY", "HTTP_PROXY") if name not in child}
    timeout = pip.get("timeout") or pip.get("default-timeout")
    if timeout:
        child.setdefault("UV_HTTP_TIMEOUT", timeout)

    told_by_us = environment.get("PIP_FIND_LINKS") == environment.get(
        "UV_FIND_LINKS", ""
    )  # from_folder, below
    if told_by_us and environment.get("PIP_NO_INDEX") == "1":
        toml["no-index"] = True
        toml.pop("find-links", None)  # uv would look there, too
    pip = told | pip
    child["PIP_CONFIG_FILE"] = os.devnull  # by which pip reads no file
    child["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for name, value in pip.items():
        if value:
            text = " ".join(value) if isinstance(value, list) else str(value)
            child["PIP_" + name.upper().replace("-", "_")] = text
    return child, "".join(f"{name} = {as_toml(value)}\n" for name, value in toml.items())


def settled(python, environment, scratch):
    """The environment in which pip and uv install for `python`; uv's settings go into the folder `scratch`."""
    child, toml = settle(python, environment)
    child |= {"UV_CONFIG_FILE": str(Path(scratch) / "uv.toml"), "JUPYTER_CONFIG_DIR": scratch}
    child["PATH"] = str(Path(python).parent) + os.pathsep + child.get("PATH", "")
    Path(child["UV_CONFIG_FILE"]).write_text(toml, encoding="utf-8")
    return child


def absolute(place):
    """An index, a file or a folder of files, with its whole path: the programs run elsewhere."""
    if place.startswith("~"):  # which pip reads as a shell does, and uv doesn't
        place = os.path.expanduser(place)  # noqa: PTH111  (Path would stop at an unknown name)
    if re.match(r"\w+:", place) and not re.match(r"\w:[/\\]", place):
        return place
    return str(Path(place).absolute())


def address(place):
    """The same of a place in a list, which pip's variables end with a space, and uv's with a comma."""
    whole = absolute(place)
    return Path(whole).as_uri() if Path(whole).is_absolute() and re.search(r"[\s,]", whole) else whole


def from_folder(folder):
    """The variables by which packages come from `folder` alone, whatever the user has set."""
    if not folder or not Path(folder).is_dir():
        raise Unfit(f"The packages should come from {folder or 'nowhere'}, and there is no such folder.")
    place = Path(folder).absolute().as_uri()
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": place, "UV_FIND_LINKS": place, "UV_OFFLINE": "1"}


def missing(place):
    """Is it a folder that doesn't exist? pip goes on without, uv does not."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    if place.startswith("file:"):
        place = url2pathname(urlsplit(place).path)
    return Path(place).is_absolute() and not Path(place).exists()


def as_toml(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {as_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def pinned(name, lock):
    """The part of a lock that pins the package `name`, with its digests."""
    return re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", lock, flags=re.MULTILINE | re.DOTALL).group()


def run(what, *command, environment, cwd):
    """Run a step quietly; raise Unfit with what it said if it fails."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        full = re.search(
            "no space left|not enough space|os error 28|quota exceeded", done.stdout, re.IGNORECASE
        )
        advice = (
            f"The disk is full: make {ROOM / 1e9:.0f} GB of room"
            if full
            else "If the network failed, what came is kept"
        )
        raise Unfit(f"{done.stdout.strip()}\n{what} failed. {advice}, then call the same again.")


def same_python(folder):
    """Was the environment in `folder` made by this version of Python?"""
    try:
        made = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    return "version = {}.{}.{}\n".format(*sys.version_info[:3]) in made


def read_ready(path):
    """What stands in a file `ready` or `ready-dev`: the digest, and where the course was."""
    try:
        digest, root, _ = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except (OSError, ValueError):  # none, or of another edition of this program
        return "", ""
    return digest, root


def write_ready(path, digest, root):
    path.write_bytes(f"{digest}\n{root}\n".encode(errors="surrogateescape"))


def same_place(recorded, root):
    """Is the folder `recorded` the course's? A second name of one folder is the same place."""
    try:
        return bool(recorded) and Path(recorded).samefile(root)
    except OSError:
        return False


def moved(root):
    """Was the environment of the course in `root` made when the course was in another place?"""
    made_at = read_ready(root / ".venv" / "ready")[1]
    return bool(made_at) and not same_place(made_at, root)


def programs(folder):
    return folder / ("Scripts" if os.name == "nt" else "bin")


def stamp(root, locks):
    """What an environment depends on, as one digest."""
    inputs = [*locks, "pyproject.toml", "scripts/environment.py", "scripts/kernel.py", "labs/hermetic.py"]
    content = b"".join((root / name).read_bytes() for name in inputs if (root / name).exists())
    return hashlib.sha256(content + platform.python_version().encode()).hexdigest()


def make(root=ROOT, dev=False, environment=os.environ):
    """Bring `.venv` of the course in `root` up to date; True if there was anything to do."""
    folder = root / ".venv"
    dev = dev or (folder / "ready-dev").exists()  # a maker's stays a maker's
    locks = ["requirements.txt", "requirements-dev.txt"][: 1 + dev]
    check_machine(sys.version_info, ("venv", "ensurepip"), folder)
    ready = folder / ("ready-dev" if dev else "ready")
    digest, _ = read_ready(ready)
    _, made_at = read_ready(folder / "ready")
    whole = same_place(made_at, root) and same_python(folder)
    if whole and digest == stamp(root, locks):
        for name in ("ready", "ready-dev")[: 1 + dev]:
            (folder / name).touch()  # for make, which looks at the time
        return False

    if moved(root):
        print(f"The course was moved or copied from {made_at}, which the programs in .venv still name.")
    print(f"Making the environment in .venv{' for makers' * dev} (once, a minute or two)", flush=True)
    for name in ("ready", "ready-dev", "ready-extras", "ready-class"):
        (folder / name).unlink(missing_ok=True)
    python = str(programs(folder) / ("python.exe" if os.name == "nt" else "python"))
    base = clean(environment)
    if not whole:
        maker = getattr(sys, "_base_executable", None) or sys.executable  # not the one that is being replaced
        run("Making .venv", maker, "-m", "venv", "--clear", str(folder), environment=base, cwd=root)

    with tempfile.TemporaryDirectory() as scratch:
        child = settled(python, environment, scratch)
        only_uv = Path(scratch) / "uv.txt"
        only_uv.write_text(
            pinned("uv", (root / "requirements.txt").read_text(encoding="utf-8")), encoding="utf-8"
        )

        def step(what, *command):
            run(what, python, "-m", *command, environment=child, cwd=root)

        step(
            "Installing uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(only_uv)
        )
        uv = ("uv", "pip")
        step(
            "Installing what is locked",
            *uv, "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python", python, *locks,
        )  # fmt: skip
        step(
            "Installing the course",
            *uv, "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python, "-e", ".",
        )  # fmt: skip
        step(  # it would ask the network
            "Silencing announcements",
            "jupyterlab.labextensions", "disable", "--level=sys_prefix", "@jupyterlab/apputils-extension:announcements",
        )  # fmt: skip
        run("Installing the kernel", python, "scripts/kernel.py", environment=child, cwd=root)
    if dev:
        write_ready(folder / "ready", stamp(root, locks[:1]), root)
    write_ready(ready, stamp(root, locks), root)
    return True


def extras(root=ROOT, environment=os.environ):
    """Put PyTorch and Flower beside the environment of the course in `root`; True if there was anything to do."""
    name = "python.exe" if os.name == "nt" else "python"
    python, flower = programs(root / ".venv") / name, root / ".venv" / "flower"
    torch = root / ".venv" / "torch"
    lock = root / "requirements-flower.txt"
    done = root / ".venv" / "ready-extras"
    if read_ready(done)[0] == stamp(root, [lock.name]):
        return False
    shutil.rmtree(torch, ignore_errors=True)  # of an installation that was interrupted, or older
    print("Installing PyTorch and Flower (once, some minutes)", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        child = settled(str(python), environment, scratch)
        run(
            "Installing PyTorch", str(python), "-m", "pip", "install", "--quiet", "--target", str(torch), TORCH,
            environment=child, cwd=root,
        )  # fmt: skip
        run(
            "Making an environment for Flower", str(python), "-m", "uv", "venv", "--quiet", "--clear",
            "--python", str(python), str(flower), environment=child, cwd=root,
        )  # fmt: skip
        run(
            "Installing Flower", str(python), "-m", "uv", "pip", "sync", "--quiet", "--require-hashes",
            "--python", str(programs(flower) / name), str(lock), environment=child, cwd=root,
        )  # fmt: skip
    write_ready(done, stamp(root, [lock.name]), root)
    return True


def classroom(root=ROOT, environment=os.environ):
    """Add JupyterHub to the environment of the course in `root`; True if there was anything to do."""
    python = programs(root / ".venv") / ("python.exe" if os.name == "nt" else "python")
    lock, done = root / "requirements-class.txt", root / ".venv" / "ready-class"
    if read_ready(done)[0] == stamp(root, [lock.name]):
        return False
    print("Installing JupyterHub (once, some seconds)", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        run(
            "Installing JupyterHub", str(python), "-m", "uv", "pip", "install", "--quiet", "--require-hashes",
            "--python", str(python), "-r", str(lock), environment=settled(str(python), environment, scratch), cwd=root,
        )  # fmt: skip
    write_ready(done, stamp(root, [lock.name]), root)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dev", action="store_true", help="with what only makers need")
    parser.add_argument("--extras", action="store_true", help="with PyTorch and Flower")
    parser.add_argument("--class", action="store_true", dest="classroom", help="with JupyterHub")
    parser.add_argument(
        "--wheels", metavar="FOLDER", help="packages from this folder alone, without a network"
    )
    chosen = parser.parse_args()
    try:
        if chosen.wheels is not None:
            os.environ.update(from_folder(chosen.wheels))
        made = make(dev=chosen.dev)
        made = (chosen.extras and extras()) or made
        made = (chosen.classroom and classroom()) or made
    except Unfit as unfit:
        sys.exit(str(unfit))
    except OSError as error:
        sys.exit(
            f"The environment could not be written: {error}. Close what uses .venv, make room, and call it again."
        )
    if made:
        print("The environment is ready.")

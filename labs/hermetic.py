"""A lab keeps to itself: nothing of yours reaches in, nothing of the lab reaches out.

`hermetic.seal()` is the first line of every lab. From there on the lab, and every program that it starts, has an
environment of its own (`environment`, below: what is not named there is gone), a home and a temporary folder of
its own. When the kernel ends, however it ends, the programs that still run are stopped and both folders removed.
Two things stay yours: the PATH, on which programs are found, and what Python and IPython read before the first line
in a kernel that isn't the course's own (the course's own reads nothing of yours: `specification`, below). What an
administrator has set below /etc for every user of a program holds unless the program can be told otherwise.

The same for one program, which is how the tests are run: `python labs/hermetic.py COMMAND …`.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

# What describes the machine and not its user. Everything else that is set when a lab begins is dropped.
MACHINE = (
    "PATH LD_LIBRARY_PATH OPENBLAS_CORETYPE OPENBLAS_L2_SIZE NUMBER_OF_PROCESSORS OS PATHEXT COMSPEC SYSTEMROOT "
    "SYSTEMDRIVE WINDIR PROGRAMDATA PROGRAMFILES PROCESSOR_ARCHITECTURE"
).split()

SETTINGS = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "SHELL": "/bin/sh",
    "NO_PROXY": "*",  # everything is on this machine, whatever the system's settings say
    "no_proxy": "*",
    # sums that do not depend on the number of threads, sets in one order
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    # no call to a tool's maker
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
    "FLWR_TELEMETRY_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",
    "ACT_DISABLE_VERSION_CHECK": "1",
    # no settings but those of the lab
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "PYTHONNOUSERSITE": "1",
    # nobody's name, and one that can be found where the system knows none
    "LOGNAME": "lab",
    "USER": "lab",
    "USERNAME": "lab",
    # quiet
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHON_COLORS": "0",  # a traceback that a lab reads
}

# Read once, when Python starts: a kernel's specification empties them, since it cannot drop them.
PYTHON = (
    "PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONSTARTUP PYTHONUSERBASE PYTHONPYCACHEPREFIX PYTHONSAFEPATH "
    "PYTHONOPTIMIZE PYTHONWARNINGS PYTHONWARNDEFAULTENCODING PYTHONDEVMODE PYTHONDEBUG PYTHONINSPECT PYTHONVERBOSE "
    "PYTHONPROFILEIMPORTTIME PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PYTHONIOENCODING PYTHONCASEOK PYTHONBREAKPOINT "
    "PYTHONFAULTHANDLER PYTHONASYNCIODEBUG PYTHONNODEBUGRANGES PYTHONMALLOC PYTHONTRACEMALLOC PYTHONINTMAXSTRDIGITS "
    "PYTHONCOERCECLOCALE PYTHONPERFSUPPORT PYTHON_PERF_JIT_SUPPORT PYTHON_CPU_COUNT PYTHON_FROZEN_MODULES PYTHON_GIL "
    "PYTHON_JIT PYTHON_THREAD_INHERIT_CONTEXT PYTHON_CONTEXT_AWARE_WARNINGS"
).split()
# Programs look for these in the folder where they run and in all above it, or in a home that the system names.
# They find the lab's own, which changes nothing, and look no further.
NO_SETTINGS = {
    "pytest.ini": "",
    "schemathesis.toml": "",
    "ruff.toml": "",
    "pyproject.toml": '[project]\nname = "lab"\nversion = "0"\nrequires-python = ">=3.11"\n',  # ruff asks it, too
    "zizmor.yml": "rules: {}\n",
    ".shellcheckrc": "",
    "package.json": "{}",  # node
    "home/.curlrc": "",
    "home/.seaweedfs/security.toml": "",
}
INLINE = "module://matplotlib_inline.backend_inline"  # plots in the notebook
FONTS = (
    Path(sys.prefix) / "share" / "matplotlib"
)  # its list of fonts, made once with the environment
IPYTHON = Path(sys.prefix) / "share" / "ipython"  # without anybody's settings
TOLD = (
    "CI BOOK_URL REPOSITORY_URL EDITION SOURCE_DATE_EPOCH".split()
)  # to the course's own programs, not to labs

QUIET = DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning
AWKWARD = set(
    "?#%[]^|'\""
)  # a database whose address has one of them lies elsewhere, or is not found

sealed = None  # the folder of this process, once it has one


def environment(folder):
    """The environment of a lab whose folder is `folder` (a Path that exists): a dict for `os.environ` or `env=`.

    It has the folders HOME and TMPDIR below `folder`, what describes the machine, and SETTINGS. The files of NO_SETTINGS
    are written into `folder`.
    """
    kept = {name: value for name, value in os.environ.items() if name.upper() in MACHINE}
    programs = str(
        Path(sys.executable).parent
    )  # `python` and `dvc` are those of this environment
    path = [
        part for part in kept.get("PATH", os.defpath).split(os.pathsep) if part != programs
    ]
    system = [
        part for part in ("/usr/sbin", "/sbin") if Path(part).is_dir()
    ]  # haproxy is there
    kept["PATH"] = os.pathsep.join(
        [programs, *path, *(part for part in system if part not in path)]
    )
    places = {"home": ("HOME", "USERPROFILE"), "tmp": ("TMPDIR", "TEMP", "TMP")}
    for name, variables in places.items():
        (folder / name).mkdir(exist_ok=True)
        kept |= dict.fromkeys(variables, str(folder / name))
    for name, text in NO_SETTINGS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    kept |= {
        "APPDATA": kept["HOME"],
        "LOCALAPPDATA": kept["HOME"],
        "DOCKER_HOST": f"unix://{folder}/docker.sock",  # nobody's: MLflow looks for one
        "DASK_ROOT_CONFIG": str(folder / "dask"),  # else /etc/dask
        "DVC_SITE_CACHE_DIR": str(folder / "dvc"),  # else /var/tmp/dvc
        "DVC_GLOBAL_CONFIG_DIR": str(folder / "dvc"),
        "DVC_SYSTEM_CONFIG_DIR": str(folder / "dvc"),
        "GIT_CEILING_DIRECTORIES": str(folder),  # no repository that the folder may lie in
        "MPLCONFIGDIR": str(FONTS if FONTS.exists() else folder / "matplotlib"),
    }
    return kept | SETTINGS


def specification():
    """The kernel.json of the course's kernel: ipykernel's own, and what must hold before a lab's first line."""
    from ipykernel.kernelspec import get_kernel_dict

    kernel = get_kernel_dict()
    kernel["argv"][-2:-2] = [
        "--HistoryManager.enabled=False"
    ]  # else a database of all that was typed
    return kernel | {
        "display_name": "Mastering MLOps",
        "env": dict.fromkeys(PYTHON, "")
        | SETTINGS
        | {"IPYTHONDIR": str(IPYTHON), "MPLBACKEND": INLINE},
    }


def seal():
    """Give this process, and all that it will start, an environment and a folder of its own.

    Call it before the libraries are imported that read the environment. A second call does nothing. Raises
    RuntimeError where Python was started without assertions, which are what tells a right answer from a wrong one.
    """
    global sealed
    if sealed:
        return
    if not __debug__:
        raise RuntimeError(
            "Python was started with -O, so no check would run: unset PYTHONOPTIMIZE and restart"
        )
    usual = [
        place
        for place in (tempfile.gettempdir(), "/tmp")
        if not set(place) & AWKWARD and Path(place).is_dir()
    ]
    folder = Path(
        tempfile.mkdtemp(prefix="lab-", dir=usual[0] if usual else None)
    ).resolve()
    watch(folder)
    theirs = {
        Path(part).resolve()
        for part in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if part
    }
    sys.path[:] = [
        part for part in sys.path if not part or Path(part).resolve() not in theirs
    ]
    sys.dont_write_bytecode, sys.pycache_prefix = False, None
    if sys.warnoptions:  # of PYTHONWARNINGS; without it, Python begins with these filters
        sys.warnoptions.clear()
        warnings.resetwarnings()
        for category in QUIET:
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
    # else jsonschema spends two seconds on grammars for the form of addresses, which nobody checks here
    sys.modules.setdefault("rfc3987_syntax", None)
    own = environment(folder) | {"MPLBACKEND": INLINE}
    os.environ.clear()
    os.environ.update(own)
    tempfile.tempdir = None  # it is looked up anew
    os.umask(0o022)
    if hasattr(time, "tzset"):
        time.tzset()
    sealed = folder  # last: a call that was interrupted counts for nothing


def watch(folder):
    """Start the program that waits for this process to end, then stops what it left and removes `folder`."""
    quiet = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    command = [sys.executable, __file__, "--after", str(os.getpid()), str(folder)]
    subprocess.Popen(
        command, **quiet, env=environment(folder), cwd=folder.parent, start_new_session=True
    )


def after(parent, folder):
    """Wait for the process `parent` to end, remember what it starts meanwhile, then tidy `folder`."""
    import psutil  # comes with every kernel

    started = set()
    try:
        parent = psutil.Process(parent)
        while True:
            started.update(parent.children(recursive=True))
            try:
                parent.wait(timeout=1)
                break
            except psutil.TimeoutExpired:
                continue
    except psutil.NoSuchProcess:
        pass
    tidy(folder, started)


def tidy(folder, started=()):
    """Stop the processes of `folder`'s lab, by their home or because they are known to be `started` by it, but
    neither this one nor its parents; then remove the folder."""
    import psutil

    spared = [psutil.Process(), *psutil.Process().parents()]
    left = []
    for process in {*psutil.process_iter(), *started}:
        try:
            ours = process in started or process.environ().get("HOME") == str(
                folder / "home"
            )
            if ours and process not in spared:
                process.kill()
                left.append(process)
        except (psutil.Error, OSError):
            continue  # another user's, or gone
    psutil.wait_procs(left, timeout=10)

    def insist(
        function, path, _
    ):  # Git's objects can only be read, and Windows then won't remove them
        Path(path).chmod(stat.S_IWRITE)
        function(path)

    try:
        shutil.rmtree(folder, onerror=insist)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # what can be removed


def run(command):
    """Run `command` (a list) in an environment and a folder of its own, and with the usual umask; return its exit code,
    as a shell does."""
    folder = Path(tempfile.mkdtemp(prefix="own-")).resolve()
    watch(folder)  # for the case that this process is killed
    told = {name: os.environ[name] for name in TOLD if name in os.environ}
    os.umask(0o022)
    try:
        child = subprocess.Popen(command, env=environment(folder) | told)
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # the command hears it as well, and ends in its own time
        code = child.wait()
        return 128 - code if code < 0 else code
    except FileNotFoundError:
        print(f"{command[0]}: no such program", file=sys.stderr)
        return 127
    finally:
        tidy(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--after"]:
        after(int(sys.argv[2]), Path(sys.argv[3]))
    elif len(sys.argv) > 1:
        sys.exit(run(sys.argv[1:]))
    else:
        sys.exit("usage: python labs/hermetic.py COMMAND …")

"""The worst desk a lab can be started on, and a watch over what the lab touches there.

`desk` makes a home full of settings that break or betray whoever reads them, and the variables that lead there.
`Watch` has the kernel start below strace, which writes down each file that the lab, or a program it starts,
opens, makes or removes, each program that it executes and each address that it calls; `outside` lists what lies
outside of the lab's own folder.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

DEAD = "http://127.0.0.1:9"  # nobody listens

FILES = {  # in the user's home
    ".gitconfig": "[commit]\n\tgpgsign = true\n[user]\n\tsigningkey = ABSENT\n[core]\n\tautocrlf = true\n\thooksPath = {home}/hooks\n"
    "[init]\n\tdefaultBranch = somebodys\n[alias]\n\tst = status\n",
    "hooks/pre-commit": "#!/bin/sh\nexit 1\n",
    ".config/git/config": "[user]\n\tname = Somebody\n",
    ".config/dvc/config": "[cache]\n\tdir = {home}/shared-cache\n[core]\n\tautostage = true\n",
    ".config/matplotlib/matplotlibrc": "figure.dpi: 10\n",
    ".config/pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/simple\n",
    ".config/act/actrc": "--no-such-option\n",
    ".actrc": "--no-such-option\n",
    ".aws/credentials": "[default]\naws_access_key_id = SOMEBODYS\naws_secret_access_key = SECRET\n",
    ".kube/config": "current-context: production\n",
    ".netrc": "machine 127.0.0.1 login somebody password secret\n",
    ".npmrc": "registry=http://127.0.0.1:9/\n",
    "pytest.ini": "[pytest]\naddopts = --no-such-option\n",
    "schemathesis.toml": "no-such-option = 1\n",
    "ruff.toml": "no-such-option = 1\n",
    "pyproject.toml": '[project]\nrequires-python = ">=3.7"\n',  # which ruff reads where it finds no other
    "zizmor.yml": "no-such-option: 1\n",
    ".shellcheckrc": "enable=require-variable-braces\n",
    "package.json": "{",
    ".curlrc": "no-such-option\n",
    ".seaweedfs/security.toml": "[",
    "python/sitecustomize.py": "raise SystemExit('a sitecustomize of the user ran')\n",
    "python/yaml.py": "raise ImportError('a module of the user was imported')\n",
    "startup.py": "raise SystemExit('a startup file of the user ran')\n",
    ".ipython/profile_default/startup/00.py": "raise RuntimeError('a startup file of the user ran')\n",
    ".ipython/profile_default/ipython_config.py": "c.InteractiveShell.ast_node_interactivity = 'all'\n",
    ".jupyter/jupyter_config.json": '{"KernelManager": {"transport": "nonsense"}}\n',
    "matplotlibrc": "figure.dpi: 10\n",
}
VARIABLES = {
    "HOME": "{home}",
    "XDG_CONFIG_HOME": "{home}/.config",
    "XDG_CACHE_HOME": "{home}/.cache",
    "XDG_DATA_HOME": "{home}/.local/share",
    "XDG_RUNTIME_DIR": "{home}/run",
    "GIT_DIR": "{home}/repository/.git",  # as in a hook, or below `rebase --exec`
    "GIT_WORK_TREE": "{home}/repository",
    "GIT_INDEX_FILE": "{home}/repository/.git/index",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "commit.gpgsign",
    "GIT_CONFIG_VALUE_0": "true",
    "GIT_TRACE": "{home}/git-trace",
    "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
    "MLFLOW_TRACKING_URI": "sqlite:///{home}/tracking.db",
    "MLFLOW_REGISTRY_URI": "sqlite:///{home}/registry.db",
    "MLFLOW_EXPERIMENT_NAME": "somebodys",
    "DVC_GLOBAL_CONFIG_DIR": "{home}/.config/dvc",
    "DVC_SITE_CACHE_DIR": "{home}/dvc",
    "FEAST_USAGE": "true",
    "RAY_ADDRESS": "127.0.0.1:9",
    "AWS_PROFILE": "production",
    "AWS_ENDPOINT_URL": DEAD,
    "AWS_SHARED_CREDENTIALS_FILE": "{home}/.aws/credentials",
    "KUBECONFIG": "{home}/.kube/config",
    "DOCKER_HOST": "unix://{home}/docker.sock",
    "SSH_AUTH_SOCK": "{home}/agent.sock",
    "PYTEST_ADDOPTS": "--no-such-option",
    "PYTEST_PLUGINS": "no_such_plugin",
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": "{home}/matplotlibrc",
    "MPLCONFIGDIR": "{home}/.config/matplotlib",
    "IPYTHONDIR": "{home}/.ipython",
    "JUPYTER_CONFIG_DIR": "{home}/.jupyter",
    "PYTHONPATH": "{home}/python",
    "PYTHONSTARTUP": "{home}/startup.py",
    "PYTHONOPTIMIZE": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "3",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONUSERBASE": "{home}/.local",
    "HYPOTHESIS_STORAGE_DIRECTORY": "{home}/.hypothesis",
    "JAX_PLATFORMS": "nonsense",
    "CI": "true",  # Hypothesis, for one, behaves otherwise there
    "http_proxy": DEAD,
    "https_proxy": DEAD,
    "HTTP_PROXY": DEAD,
    "HTTPS_PROXY": DEAD,
    "ALL_PROXY": DEAD,
    "SSL_CERT_FILE": "{home}/absent.pem",
    "REQUESTS_CA_BUNDLE": "{home}/absent.pem",
    "TZ": "Asia/Kathmandu",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "POSIX",
    "LANGUAGE": "tr",
    "SHELL": "/bin/false",
    "EDITOR": "/bin/false",
    "PAGER": "/bin/false",
    "COLUMNS": "40",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "OMP_NUM_THREADS": "7",
}
# what no program may do to anybody's files: the system calls that open, make, change and remove them
CALLS = (
    "open openat openat2 creat mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir link linkat symlink "
    "symlinkat mknod mknodat truncate chmod fchmodat chown fchownat utimensat setxattr lsetxattr connect bind sendto "
    "sendmsg sendmmsg execve chdir fchdir chroot pivot_root clone clone3 fork vfork"
).split()
CHANGES = set(CALLS[CALLS.index("creat") : CALLS.index("connect")])
# `act` asks which way leads out of this machine, in a socket through which it then sends nothing
WAY_OUT = re.compile(r'connect\(\d+<UDP.*sin_port=htons\(80\), sin_addr=inet_addr\("8.8.8.8"\)')
LOOPBACK = re.compile(r'inet_addr\("127\.|inet_pton\(AF_INET6, "(::ffff:127\.[\d.]+|::1)"')
ABSTRACT = re.compile(r'sun_path=@"')  # a name without a file, which everybody on the machine can call
# not files; or the system's own: a container's limits, and the numbers for uuid1 where no uuidd runs
HARMLESS = (
    "/dev/null",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts/",
    "/dev/shm/",  # but what is left there
    "/proc/",
    "/sys/fs/cgroup/",
    "/var/lib/containers/cache/",
    "/var/lib/libuuid/clock.txt",  # the system's own count for uuid1, which onnx and Azure's library call
)


def desk(folder):
    """Make the home of such a user below `folder`; return (home, environment)."""
    home = folder / "user"
    for name, text in FILES.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{home}", str(home)))
    (home / "hooks" / "pre-commit").chmod(0o755)
    git = ["git", "-c", "user.name=U", "-c", "user.email=u@example.org", "-C", home / "repository"]
    subprocess.run(["git", "init", "--quiet", home / "repository"], check=True)
    (home / "repository" / "work").write_text("of years\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Years of work"], check=True)
    return home, {name: value.replace("{home}", str(home)) for name, value in VARIABLES.items()}


class Watch:
    """strace over a kernel; `folder` (a Path that exists) takes its notes, one file for each thread."""

    def __init__(self, folder):
        self.folder = folder

    @staticmethod
    def missing():
        """Why there can be no watch here; "" if there can."""
        if not shutil.which("strace"):
            return "strace is missing: on Debian or Ubuntu, apt install strace"
        done = subprocess.run(["strace", "-f", "--seccomp-bpf", "true"], capture_output=True, text=True)
        return f"strace cannot watch here: {done.stderr[-200:]}" if done.returncode else ""

    @property
    def command(self):
        """What to put before the command that is watched, which stays the child of whoever starts it."""
        calls = ",".join(f"?{call}" for call in CALLS)
        notes = str(self.folder / "thread")
        return [
            "strace",
            "-D",
            "-f",
            "-ff",
            "--seccomp-bpf",
            "--pidns-translation",
            "-qq",
            "-yy",
            "-s",
            "4096",
            "-e",
            f"trace={calls}",
            "-o",
            notes,
        ]

    def calls(self, cwd):
        """All (call, paths, line) that were noted, paths made absolute; `cwd` is where the first thread began.

        What a container does is told as if from outside: once a process has another root (chroot, pivot_root), so
        have its threads and children, and their paths begin there.
        """
        notes = {
            int(path.suffix[1:]): path.read_text(errors="replace").splitlines()
            for path in self.folder.glob("thread.*")
        }
        born = re.compile(r"(?:clone|clone3|fork|vfork)\((.*) = (\d+)(?: /\* (\d+) in strace's PID NS \*/)?$")

        def child(line):
            """(number as strace counts, whether it is a thread of the same process) of who begins here, or None."""
            found = born.match(line)
            return (int(found[3] or found[2]), "CLONE_THREAD" in found[1]) if found else None

        children = {new[0] for lines in notes.values() for line in lines if (new := child(line))}
        first = set(notes) - children
        moved = {}  # process: the root that one of its threads gave to all of them, and which thread
        if any(line.startswith(("chroot(", "pivot_root(")) for lines in notes.values() for line in lines):
            list(self.follow(notes, child, first, str(cwd), moved))
        yield from self.follow(notes, child, first, str(cwd), moved)

    @staticmethod
    def follow(notes, child, first, cwd, moved):
        """Yield (call, paths, line) for all threads, from those in `first` on: one, and whose parent's notes were
        overwritten since its number was given again. Nobody knows when a thread's sister changed the root of both,
        so `moved`, which is completed here, holds from the thread's beginning."""
        started = {thread: (cwd, "", thread) for thread in first}  # folder, root and process that it began in
        waiting = sorted(first)
        while waiting:
            thread = waiting.pop()
            here, root, process = started[thread]
            if process in moved and moved[process][1] != thread:
                root = moved[process][0]
            for line in notes[thread]:
                call, _, rest = line.partition("(")
                if new := child(line):
                    started[new[0]] = here, root, process if new[1] else new[0]
                    waiting += {new[0]} & set(notes)
                    continue
                if call == "fchdir" and (at := re.match(r"\d+<(.*?)>\)", rest)):
                    here = seen(at[1], root)
                    continue
                named = list(paths(rest, here, root))
                yield call, named, line
                if call == "chdir" and line.endswith("= 0"):
                    here = named[0]
                elif call in ("chroot", "pivot_root") and line.endswith("= 0"):
                    root = named[0]
                    moved[process] = root, thread


def seen(path, root):
    """The absolute `path` of a process with the root `root`, as who has no other root would write it."""
    return (
        path
        if not root or path == root or path.startswith(f"{root}/")
        else os.path.normpath(f"{root}/{path}")
    )


def paths(arguments, here, root=""):
    """The paths among a call's `arguments`, made absolute from the folder `here` or the one that stands before, for a
    process with the root `root`."""
    for at, name in re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', arguments):
        name = name.encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
        yield seen(os.path.normpath(name if name.startswith("/") else f"{at or here}/{name}"), root)


def outside(watch, cwd, own, home):
    """What was done outside of the folders `own` (Paths): files made, changed or removed; anything of the user's
    `home` opened or executed; any address called or listened on that is not this machine's own, and any name looked
    up; settings read in the home that the system knows of, whatever HOME says; what was left in shared memory.
    Python's bytecode, which belongs to whoever is imported, is passed over."""
    import pwd  # not on Windows

    own = tuple(f"{path.resolve()}" for path in own)
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    settings = re.compile(re.escape(str(real)) + r"/\.[^/]+(/.*)?")
    programs = [Path(place) for place in os.environ["PATH"].split(os.pathsep)]
    # a program may lie below ~/.nvm, say, with what belongs to it
    prefixes = [place.parent for place in programs if place.parent not in (real, real / ".local")]
    installed = {
        str(form)
        for place in (sys.prefix, sys.base_prefix, cwd, *programs, *prefixes, real / ".local" / "lib")
        for form in (Path(place), Path(place).resolve())
    }
    shared, removed = {}, set()

    def below(path, *folders):
        return any(path == folder or path.startswith(f"{folder}/") for folder in folders)

    def is_above(path):
        return any(below(folder, path) for folder in own)

    def theirs(path):
        # Podman makes both where it runs for the first time, and leaves them empty but for its own cache
        if path in ("/var/lib/containers", "/var/lib/containers/cache"):
            return False
        return not path.startswith(HARMLESS) and "/__pycache__" not in path and not below(path, *own)

    for call, named, line in watch.calls(cwd):
        if call in ("connect", "bind", "sendto", "sendmsg", "sendmmsg"):
            if (
                "AF_INET" in line
                and not WAY_OUT.match(line)
                and (not LOOPBACK.search(line) or "htons(53)" in line)
            ):
                yield f"called: {line}"
            elif ABSTRACT.search(line):
                yield f"called: {line}"
            elif found := re.search(r'sun_path="(.*?)"', line):
                # the system's own: users' names, and numbers for uuid1, which Azure's library gives its requests
                if theirs(named[0]) and not re.search("nscd|/run/uuidd/", found[1]):
                    yield f"called: {line}"
        elif call in CHANGES or (call.startswith("open") and re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", line)):
            if any(theirs(path) for path in named) and not re.search(r"= -1 (EEXIST|ENOENT|EROFS)", line):
                yield f"changed: {line}"
        if (call in CHANGES or "O_CREAT" in line) and " = -1 " not in line:
            there = [path for path in named if path.startswith("/dev/shm/")]
            gone = (
                there if call in ("unlink", "unlinkat", "rmdir") else there[:-1] if "rename" in call else []
            )
            removed.update(gone)
            shared |= {path: line for path in there if path not in gone}
        if call.startswith("open") and any(
            settings.fullmatch(path) and theirs(path) and not below(path, *installed) for path in named
        ):
            yield f"read: {line}"
        # `mkdir -p` asks for each folder above the one that it makes
        above = call.startswith("mkdir") and "= -1 EEXIST" in line and all(is_above(path) for path in named)
        if any(below(path, str(home)) and theirs(path) for path in named) and call != "chdir" and not above:
            yield f"read: {line}"
    yield from (f"left: {line}" for path, line in shared.items() if path not in removed)

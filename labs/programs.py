"""Programs that are not Python's: what a lab needs from the system, and how it starts one.

They listen on 127.0.0.1, write into the lab's folder, and are stopped when the kernel ends (hermetic.py).
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

PATIENCE = 60  # seconds until a program has to be ready
OTHERWISE = {  # not from a package of Debian that has the program's name
    "ansible-playbook": "sudo apt install ansible-core",  # the course brings it, except on Windows
    "azurite": "npm install --global azurite@3.35.0",
    "flock": "sudo apt install util-linux",
    "node": "sudo apt install nodejs",
}
# what `make extras` installs: too large for everybody, or at odds with the rest
EXTRAS = ("torch", "flower")
TORCH = Path(
    sys.prefix, "torch"
)  # PyTorch's packages, which scikit-learn would import wherever it saw them
FLOWER = Path(sys.prefix, "flower", "bin", "python")  # the Python of Flower's environment


class Missing(RuntimeError):
    """A program that the lab needs is not on this machine. IPython shows the sentence alone."""

    def _render_traceback_(self):
        return [str(self)]


def lacking(names, path=None):
    """Those of `names` that are not here: programs by `path` or the PATH, extras by what is installed."""
    found = {"torch": (TORCH / "torch").exists(), "flower": FLOWER.exists()}
    return [
        name
        for name in names
        if not (found[name] if name in EXTRAS else shutil.which(name, path=path))
    ]


def needs(*names):
    """Raise Missing, which says what to install, unless each of `names`, a program or one of EXTRAS, is here.

    "torch" can be imported from then on, also by the programs that the lab starts.
    """
    if missing := lacking(names):
        if extras := [name for name in missing if name in EXTRAS]:
            raise Missing(
                f"This lab needs {' and '.join(extras)}, which the course installs on demand. In the folder of the "
                "course: make extras. What the lab shows can be read in the book without it."
            )
        packages = [name for name in missing if name not in OTHERWISE]
        commands = [f"sudo apt install {' '.join(packages)}"] if packages else []
        commands += [OTHERWISE[name] for name in missing if name in OTHERWISE]
        raise Missing(
            f"This lab needs {' and '.join(missing)}, and did not find it. On Debian or Ubuntu: {'; '.join(commands)}. "
            "Other systems: the page Installing of the book. What the lab shows can be read in the book without it."
        )
    if "torch" in names:
        sys.path.append(str(TORCH))
        os.environ["PYTHONPATH"] = str(TORCH)


def free_port():
    """A port of 127.0.0.1 on which nobody listens at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start(command, ready=None, **options):
    """Start `command` (a list) and wait until it is ready; return the process, with its output's path in `.log`.

    `ready` is an address that answers with a status below 400, or a port that accepts a connection. `options` go to
    subprocess.Popen. Raises RuntimeError with the last lines of its output if it ends or isn't ready in PATIENCE
    seconds.
    """
    log = Path(tempfile.mkdtemp()) / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            **{"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            | options,
        )
    process.log = log
    until = time.monotonic() + PATIENCE
    while ready is not None and not answers(ready):
        if process.poll() is not None or time.monotonic() > until:
            how = (
                "is not ready"
                if process.poll() is None
                else f"ended with {process.returncode}"
            )
            process.kill()
            process.wait()
            raise RuntimeError(
                f"{command[0]} {how}. It wrote:\n"
                + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            )
        time.sleep(0.02)
    return process


def answers(ready):
    """Does `ready`, an address or a port of 127.0.0.1, answer now?"""
    try:
        if isinstance(ready, int):
            socket.create_connection(("127.0.0.1", ready), timeout=2).close()
        else:
            urlopen(ready, timeout=2).close()  # from 400 on an HTTPError
        return True
    except HTTPError as error:
        error.close()
        return False
    except OSError:  # URLError is one
        return False


class Podman:
    """Podman with all that it keeps in one folder of the lab. `podman("run", "--rm", image)` runs these words there.

    A container has the machine's network, since there may be no other, and the lab's HOME, by which hermetic.py knows
    what to stop if the kernel dies; all containers go when the kernel ends. `limits` says whether a limit of memory
    holds here: not for an ordinary user whose system has the first version of control groups.

    Where root may lay file systems over each other, the containers of an image share its files. Otherwise each has a
    copy of them, which takes longer.
    """

    def __init__(self):
        import pwd  # not on Windows, where Podman is in a machine of its own

        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "containers.conf").write_text(self.settings())
        self.mounts, self.inside = None, []
        if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("nsenter"):
            self.lay_over()
        driver = "overlay" if self.inside else "vfs"
        # relative, because Podman refuses a longer path than 50 characters
        storage = f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.folder}/images"\nrunroot = "run"\n'
        (self.folder / "storage.conf").write_text(
            f'{storage}[storage.options.overlay]\nskip_mount_home = "true"\n'
        )
        (self.folder / "xdg").mkdir(mode=0o700)
        # also what restarts a container, without our flags, keeps its state here
        runc = shutil.which("runc") or "runc"
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "runc").write_text(
            f'#!/bin/sh\nexec {runc} --root="{self.folder}/runc" "$@"\n'
        )
        (self.folder / "bin" / "runc").chmod(0o700)
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": os.devnull,
            "CONTAINERS_SHORT_NAME_ALIASING": "off",
            "BUILDAH_FORMAT": "oci",
            "GOGC": "400",  # Podman frees memory less often, and builds faster
            **dict.fromkeys(
                ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"),
                str(self.folder / "xdg"),
            ),
            "USER": pwd.getpwuid(os.getuid()).pw_name,  # whose subordinate ids it looks up
        }
        self.limits = (
            os.geteuid() == 0 or Path("/sys/fs/cgroup/cgroup.controllers").exists()
        )
        # what the kernel holds a container's limits in; Podman leaves its own group behind
        self.group = f"/lab-{self.folder.name}" if os.geteuid() == 0 else ""
        atexit.register(self.stop)

    def lay_over(self):
        """Start a process that holds a namespace of mounts, for all that Podman mounts, if overlay works there.

        The mounts go with the namespace, and that with its last process: nothing stays mounted, however the lab ends.
        """
        (self.folder / "try").mkdir()
        options = "lowerdir=low,upperdir=up,workdir=work"
        mount = f"mount -n -t overlay -o {options} none all"  # -n: no notes in /run
        words = f"mkdir low up work all && {mount} && echo works"
        self.mounts = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f"{words} && exec sleep infinity"],
            cwd=self.folder / "try",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self.mounts.stdout.readline():
            enter = f"nsenter --mount=/proc/{self.mounts.pid}/ns/mnt env"
            self.inside = [*enter.split(), f"--chdir={self.folder}"]

    def settings(self):
        root = 'cgroup_manager = "cgroupfs"' if os.geteuid() == 0 else ""
        return f"""
[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]  # often they cannot be raised
env = ["HOME={os.environ["HOME"]}"]
ipcns = "none"  # no shared memory, which would stay mounted
log_driver = "k8s-file"
netns = "host"
[engine]
{root}
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{self.folder}/tmp"
[engine.runtimes]
runc = ["{self.folder}/bin/runc"]
[network]
network_config_dir = "{self.folder}/networks"
"""

    def __call__(self, *words, check=True):
        """Run `podman` with these `words` in the folder; the finished process, with its output as text.

        Raises RuntimeError with what Podman said if it fails, unless `check` is False.
        """
        if words[0] == "run" and self.group:
            words = ("run", "--cgroup-parent", self.group, *words[1:])
        done = subprocess.run(
            [*self.inside, "podman", *map(str, words)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise RuntimeError(
                f"podman {words[0]} ended with {done.returncode}:\n{done.stderr[-1500:]}"
            )
        return done

    def stop(self):
        """Remove all containers and images, and the control groups that the containers were in."""
        self("pod", "rm", "--force", "--all", "--time", "0", check=False)
        self("rm", "--force", "--all", "--time", "0", check=False)
        self("rmi", "--force", "--all", check=False)
        if self.mounts:
            self.mounts.kill()
            self.mounts.wait()
            self.mounts.stdout.close()
        groups = Path("/sys/fs/cgroup")
        for top in [groups, *groups.glob("*/")] if self.group else []:
            for place in sorted((top / self.group[1:]).glob("**/"), reverse=True):
                try:
                    place.rmdir()
                except OSError:
                    continue  # in use

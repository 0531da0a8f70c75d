"""Programs that are not Python's: what a lab needs from the system, and how it starts one.

They listen on 127.0.0.1, write into the lab's folder, and are stopped when the kernel ends (hermetic.py).
"""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

PATIENCE = 60  # seconds until a program has to be ready
OTHERWISE = {  # not from a package of Debian that has the program's name
    "azurite": "npm install --global azurite@3.35.0",
    "node": "sudo apt install nodejs",
}


class Missing(RuntimeError):
    """A program that the lab needs is not on this machine. IPython shows the sentence alone."""

    def _render_traceback_(self):
        return [str(self)]


def needs(*names):
    """Raise Missing, which says what to install, unless each program of `names` is found on the PATH."""
    if missing := [name for name in names if not shutil.which(name)]:
        packages = [name for name in missing if name not in OTHERWISE]
        commands = [f"sudo apt install {' '.join(packages)}"] if packages else []
        commands += [OTHERWISE[name] for name in missing if name in OTHERWISE]
        raise Missing(
            f"This lab needs {' and '.join(missing)}, and did not find it. On Debian or Ubuntu: {'; '.join(commands)}. "
            "Other systems: the page Installing of the book. What the lab shows can be read in the book without it."
        )


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

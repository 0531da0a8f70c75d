"""Execute a lab and record it: its outputs, what it cost, and the day.

`make record LAB=07_drift_detection`. Read the change with `git diff` or `nbdiff` before you commit it.
"""

import argparse
import datetime
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

LABS = Path(__file__).parent.parent / "labs"
TIMEOUT = 300  # seconds for one cell; the same as in pyproject.toml


class Meter(threading.Thread):
    """Samples memory and processor time of a process and all its descendants until stopped.

    `cpu` is in seconds. `peak` is the largest sum of memory in MiB; where the system tells (Linux), a page that
    several processes share is counted once.
    """

    def __init__(self, pid, every=0.2):
        super().__init__(daemon=True)
        self.root, self.every = psutil.Process(pid), every
        self.cpu_of, self.peak, self.stopped = {}, 0.0, threading.Event()

    @property
    def cpu(self):
        return sum(self.cpu_of.values())

    def run(self):
        while not self.stopped.wait(self.every):
            held = 0
            for process in self._tree():
                try:
                    spent = process.cpu_times()
                    memory = process.memory_full_info()
                    held += getattr(memory, "pss", memory.rss)
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                self.cpu_of[process.pid] = spent.user + spent.system
            self.peak = max(self.peak, held / 2**20)

    def _tree(self):
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def execute(path, notebook=None, every=0.2):
    """Execute the notebook at `path`, or `notebook` in its stead, in the folder of `path`, and measure it `every` so
    many seconds.

    Returns (notebook, cost); cost has `seconds` (wall), `cpu_seconds` and `mebibytes` (peak).
    Raises CellExecutionError when a cell fails.
    """
    notebook = notebook or nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        startup_timeout=TIMEOUT,  # many may start at once
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        record_timing=False,
    )
    meter = None

    def start_meter(**_):
        nonlocal meter
        if meter is None:
            meter = Meter(client.km.provisioner.pid, every)
            meter.start()

    client.on_cell_start = start_meter
    began = time.perf_counter()
    try:
        client.execute()
    finally:
        seconds = time.perf_counter() - began
        if meter:
            meter.stopped.set()
            meter.join()
    return notebook, {"seconds": seconds, "cpu_seconds": meter.cpu, "mebibytes": meter.peak}


def record(path):
    """Execute the lab at `path` and write it back with its outputs, its rounded cost and today's date."""
    notebook, cost = execute(path)
    course = notebook.metadata.setdefault("course", {})
    course["cost"] = {"seconds": round(cost["seconds"]), "mebibytes": round(cost["mebibytes"], -1)}
    course["recorded"] = datetime.date.today().isoformat()
    # the rest of it differs from one Python to the next
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, path)
    return cost


def find(name):
    """The path of a lab given as `07_drift_detection` or as a path; exits with the list if there is none."""
    path = LABS / (Path(name).name.removesuffix(".ipynb") + ".ipynb")
    if not path.exists():
        known = "\n  ".join(sorted(lab.stem for lab in LABS.glob("*.ipynb")))
        sys.exit(f"no lab {name!r}. There are:\n  {known}")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", nargs="+", help="for example 07_drift_detection")
    for path in [find(name) for name in parser.parse_args().lab]:
        print(f"{path.stem}: executing", flush=True)
        try:
            cost = record(path)
        except CellExecutionError as error:
            sys.exit(f"{path.stem}: a cell failed, nothing was recorded\n\n{error}")
        print(
            f"{path.stem}: recorded, {cost['seconds']:.0f} s wall, {cost['cpu_seconds']:.0f} s processor, "
            f"{cost['mebibytes']:.0f} MiB peak"
        )


if __name__ == "__main__":
    main()

"""Execute labs as a learner gets them, on any system: `.venv/bin/python scripts/try_labs.py 07_drift_detection`.

The learner's copies are made, then each lab runs with its solutions in place; outputs are not compared with the
record, for which `make test` is there. Without names, all labs run.
"""

import os
import sys

import nbformat
from environment import ROOT, programs
from learner import files_for_learner
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def fault(path):
    """What goes wrong when the lab in `path` runs, or an empty string."""
    notebook = nbformat.read(path, as_version=4)
    try:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    except CellExecutionError as error:
        return str(error)
    return ""


def main(names):
    os.environ["PATH"] = str(programs(ROOT / ".venv")) + os.pathsep + os.environ["PATH"]
    print(f"{len(files_for_learner())} files for a learner", flush=True)
    labs = [ROOT / "labs" / f"{name}.ipynb" for name in names] or sorted((ROOT / "labs").glob("*.ipynb"))
    faults = {}
    for path in labs:
        faults[path.stem] = fault(path)
        print(f"{path.stem}: {faults[path.stem] or 'runs to its end'}", flush=True)
    return any(faults.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a class on a cluster takes: machines, memory, pulling the image, the first minute, an hour's price.

Memory, seconds of a processor and the labs' own costs were measured by us, the machine and its price are a vendor's
(a general-purpose machine with two virtual processors and 8 GiB per step of its size, June 2026), the rest we assume.
Change them: `python chapters/artefacts/class_cluster.py`, or `plan(300, Inputs(hour=1.2))`.
"""

import json
from dataclasses import dataclass
from math import ceil
from pathlib import Path

GIB = 2**30


@dataclass(frozen=True)
class Inputs:
    lab: float = 0.0  # GiB that the largest lab takes; from the labs themselves, below
    jupyter: float = 0.25  # GiB of a learner's JupyterLab and a waiting kernel; measured
    start: float = 5.5  # seconds of a processor until a learner's JupyterLab answers; measured
    hub: float = 0.4  # seconds of the hub's one process for a login and the start of a server; measured
    processors: int = 16  # of one machine
    memory: int = 64  # GiB of one machine
    hour: float = 8 * 0.0816  # US dollars; the machine is eight of the smallest of its family
    system: float = 4.0  # GiB of each machine that Kubernetes and the system keep; assumed
    pods: int = 110  # on one machine: Kubernetes' default
    image: float = 2.0  # GB, compressed; assumed, for the image was not built
    line: float = 2.5  # Gbit/s from the registry to each machine; assumed
    unpack: float = 60.0  # seconds until a pulled image is unpacked; assumed
    boot: float = 180.0  # seconds until a new machine has joined the cluster; assumed


def largest_lab():
    """GiB of memory that the largest lab takes, by the labs' own records."""
    labs = (Path(__file__).parent.parent.parent / "labs").glob("*.ipynb")
    costs = [json.loads(lab.read_text(encoding="utf-8"))["metadata"]["course"]["cost"] for lab in labs]
    return max(cost["mebibytes"] for cost in costs) / 1024


def plan(learners, given):
    """What `learners` who all log in within a minute take: a dict of figures."""
    each = given.lab + given.jupyter
    fit = min(int((given.memory - given.system) // each), given.pods)
    machines = ceil(learners / fit)
    servers = learners * given.start / (machines * given.processors)  # seconds, all processors at work
    last = max(60.0, servers, learners * given.hub)  # whoever logs in last is ready then
    return {
        "memory": learners * each,
        "machines": machines,
        "pulled": machines * given.image,
        "last": last / 60,
        "servers": servers,
        "hour": machines * given.hour,
        "share": 100 * machines * given.hour / learners,
    }


if __name__ == "__main__":
    given = Inputs(lab=largest_lab())
    figures = {
        "lab": given.lab,
        "each": given.lab + given.jupyter,
        "fit": min(int((given.memory - given.system) // (given.lab + given.jupyter)), given.pods),
        "memory_machine": given.memory,
        "start": given.start,
        "hub": given.hub,
        "machine_hour": given.hour,
        "wait": (given.boot + 8 * given.image / given.line + given.unpack) / 60,
    }
    for learners in (30, 300, 3000):
        figures |= {f"{name}_{learners}": value for name, value in plan(learners, given).items()}
    print(json.dumps(figures, indent=1))

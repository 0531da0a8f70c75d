"""Execute labs again and again on a busy machine and say which records differed: `make steady`.

Two labs run at a time while other processes keep every core busy, so that a record that leans on the clock is
found. Each run is the one that the tests make: the same comparison, and nothing may be left behind.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager

from record import LABS, find

SPIN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends should we be killed
ASKED = "test_every_lab_reproduces_its_record", "test_a_lab_leaves_nothing_behind"


@contextmanager
def busy(processes):
    """Keep so many cores busy."""
    with ExitStack() as stack:
        for _ in range(processes):
            spinning = subprocess.Popen([sys.executable, "-c", SPIN])
            stack.callback(spinning.wait)
            stack.callback(spinning.kill)  # called before the wait
        yield


def run(lab):
    """One run of a lab (its path): (seconds, what differed or was left behind, or "")."""
    asked = [f"tests/test_labs.py::{test}[{lab.stem}]" for test in ASKED]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "--tb=short", *asked],
        cwd=LABS.parent,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    return seconds, done.stdout + done.stderr if done.returncode else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", nargs="*", help="for example 04_hyperparameter_search; none means all")
    parser.add_argument("--times", type=int, default=10, help="runs of each lab (%(default)s)")
    parser.add_argument(
        "--busy", type=int, default=os.cpu_count(), help="busy processes beside the labs (%(default)s)"
    )
    asked = parser.parse_args()
    labs = [find(name) for name in asked.lab] or sorted(LABS.glob("*.ipynb"))
    seconds, differed = defaultdict(list), defaultdict(int)
    with busy(asked.busy), ThreadPoolExecutor(max_workers=2) as pool:
        # round by round, so that a lab meets others beside it
        runs = {pool.submit(run, lab): lab for _, lab in itertools.product(range(asked.times), labs)}
        for done in as_completed(runs):
            lab, (took, difference) = runs[done], done.result()
            seconds[lab].append(took)
            differed[lab] += bool(difference)
            print(f"{lab.stem}: {'differed' if difference else 'the same'}, {took:.0f} s", flush=True)
            if difference:
                print(difference, flush=True)
    print(f"{'lab':28}{'runs':>6}{'differed':>10}{'median s':>10}{'longest s':>11}")
    for lab in labs:
        took = sorted(seconds[lab])
        print(f"{lab.stem:28}{len(took):6}{differed[lab]:10}{took[len(took) // 2]:10.0f}{took[-1]:11.0f}")
    sys.exit(any(differed.values()))


if __name__ == "__main__":
    main()

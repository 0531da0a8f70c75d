"""The course's kernel for a learner who agreed to be counted: after each cell it tells the class where it is.

Sent is the lab, the cell's id and, of a check, how it ended: "open", "passed", or the place of its message among the check's,
counted from 1; 0 is any other fault. No code, no text, no output. What isn't taken at once is dropped, and the lab
doesn't notice. Where to and as whom is read before the lab begins, and gone from the environment by then.
"""

import ast
import json
import os
import queue
import re
import sys
import threading
import urllib.request
from pathlib import Path

PLACE, TOKEN = os.environ.pop("CLASS_WHERE", ""), os.environ.pop("CLASS_TOKEN", "")
LAB = Path(os.environ.get("JPY_SESSION_NAME", "")).name.partition(".")[
    0
]  # also of a new edition beside the old
FOLDER = Path(__file__).resolve().parent.parent.parent / "labs"
LABS = {path.stem for path in FOLDER.glob("*.ipynb")}
CHECK = re.compile(r"\bcheck\(\s*[\"'](\w+)[\"']")


def pattern(message):
    """A pattern for what the node `message` of an assertion may say; None where that cannot be told."""
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        return re.escape(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(
            re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in message.values
        )
    return None


def messages(source):
    """The patterns of all messages in the check with this `source`, in the order in which they stand there."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return [pattern(node.msg) for node in sorted(found, key=lambda node: node.lineno)]


def checks(path):
    """{exercise: the source of its check, below that of the functions which it is made of} of the lab at `path`."""
    found, helpers = {}, []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if "solution" in tags:
            helpers = []
        elif "self-check" in tags:
            found[CHECK.search(source)[1]] = "\n".join([*helpers, source])
        elif cell["cell_type"] == "code" and "remove-cell" in tags and "glue" not in tags:
            helpers.append(source)
    return found


def outcome(source, outcomes, known=None):
    """How the check in the cell `source` ended, by the desk's `outcomes`; None for a cell that checks nothing. Its
    messages are those of the course's own lab (`known`, from checks), or else those in the cell."""
    named = CHECK.search(source)
    if not named or named[1] not in outcomes:
        return None
    ended, said = outcomes[named[1]]
    if ended != "mistaken":
        return ended
    for check in ((known or {}).get(named[1], source), source):
        for number, wanted in enumerate(messages(check), 1):
            if wanted and re.fullmatch(wanted + r"\.?", said, re.S):
                return number
    return 0


def send(reports):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        content = json.dumps(reports.get()).encode()
        try:
            direct.open(
                urllib.request.Request(PLACE, content, {"Authorization": f"token {TOKEN}"}), timeout=5
            ).close()
        except (OSError, ValueError):
            continue


def watch(shell):
    reports = queue.SimpleQueue()
    known = checks(FOLDER / f"{LAB}.ipynb") if LAB in LABS else {}
    threading.Thread(target=send, args=[reports], daemon=True).start()

    def after(result):
        cell = getattr(result.info, "cell_id", None)
        if cell and result.info.store_history:
            desk = sys.modules.get("desk")
            ended = outcome(result.info.raw_cell, getattr(desk, "outcomes", {}), known)
            if LAB not in LABS:  # not even the name of a notebook of one's own leaves
                return
            reports.put({"lab": LAB, "cell": cell, "outcome": ended})

    shell.events.register("post_run_cell", after)


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    from ipykernel.kernelapp import IPKernelApp

    kernel = IPKernelApp.instance()
    kernel.initialize(sys.argv[1:])
    if PLACE:
        watch(kernel.shell)
    kernel.start()

"""Nine bad nights for a script that publishes a file, and one good night.

Runs a script (bash; needs curl, flock and sha256sum) against a source on this machine that
misbehaves on purpose, and says how it ended and what the tills could read. Prints, for the
script as it was found, for two repairs of it and for publish.sh, on how many of the nights
it ended with 0 while the shelf did not hold tonight's file (`silent`), and on how many the
tills could read something that was whole neither tonight nor yesterday (`harmed`).
"""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
FOUND, REPAIRED = HERE / "publish_to_repair.sh", HERE / "publish.sh"


def histories(mark, rows=20_000):
    return ("customer_id,late_180d\n" + "".join(f"{n},{mark}\n" for n in range(rows))).encode()


YESTERDAY, TONIGHT, AGAIN = histories(1), histories(2), histories(3)
HALF = TONIGHT[: len(TONIGHT) // 2]
EMPTY = b"customer_id;late_180d\n"
PAGE = b"<h1>Bad gateway</h1>\nsorry, try again later"

NIGHTS = {  # what the source sends, how it counted that, with which status
    "good": (TONIGHT, TONIGHT, 200),
    "an error page": (PAGE, PAGE, 502),
    "the line breaks": (TONIGHT, TONIGHT, 200),
    "the export broke off": (HALF, TONIGHT, 200),
    "no rows": (EMPTY, EMPTY, 200),
    "nobody answers": (TONIGHT, TONIGHT, 200),
    "a space in the shelf's name": (TONIGHT, TONIGHT, 200),
    "a till reads meanwhile": (TONIGHT, TONIGHT, 200),
    "two runs": (TONIGHT, TONIGHT, 200),
    "yesterday's file": (YESTERDAY, YESTERDAY, 200),
}


@contextmanager
def source(night):
    """Serve a night; yields its address and the event that lets a transfer go on after
    its first half."""
    body, counted, status = NIGHTS[night]
    asked, go_on = [], threading.Event()

    class Sender(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.endswith(".sha256"):
                content = f"{hashlib.sha256(counted).hexdigest()}  histories.csv\n".encode()
            else:
                asked.append(self.path)
                content = AGAIN if night == "two runs" and len(asked) > 1 else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            middle = len(content) // 2
            self.wfile.write(content[:middle])
            if content is TONIGHT and night == "the line breaks":
                return
            if content is TONIGHT and night in ("a till reads meanwhile", "two runs"):
                go_on.wait(20)
            self.wfile.write(content[middle:])

        def log_message(self, *_):
            pass

    if night == "nobody answers":
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        yield f"http://127.0.0.1:{port}", go_on
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Sender) as server:
        server.handle_error = lambda *_: None  # whoever asked is gone
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", go_on
        finally:
            go_on.set()
            server.shutdown()


def begun(shelf):
    """Wait until a part of tonight's file has been written, wherever below the shelf."""
    deadline = time.monotonic() + 20
    while not any(
        path.stat().st_size and path.read_bytes() != YESTERDAY for path in shelf.rglob("histories.csv")
    ):
        if time.monotonic() > deadline:
            raise TimeoutError("the script has not begun to fetch")
        time.sleep(0.01)


def run(script, night, *options):
    """How the script ended (exit status; of two runs, both), and all that a till could
    have read (a set)."""
    with tempfile.TemporaryDirectory() as scratch, source(night) as (url, go_on):
        shelf = Path(scratch) / ("the shelf" if "space" in night else "shelf")
        shelf.mkdir()
        read = shelf / "histories.csv"
        read.write_bytes(YESTERDAY)

        def start():
            return subprocess.Popen(
                ["bash", script, *options, url, shelf], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

        first, ended, seen = start(), [], set()
        if night in ("a till reads meanwhile", "two runs"):
            begun(shelf)
            if night == "two runs":
                second = start()
                second.communicate()
                ended.append(second.returncode)
            seen.add(read.read_bytes())
            go_on.set()
        first.communicate()
        litter = [path.name for path in shelf.iterdir() if path.name not in ("histories.csv", ".lock")]
        assert not litter, f"left on the shelf: {litter}"
        return [first.returncode, *ended], seen | {read.read_bytes()}


def judged(script):
    """Of the nine bad nights: how many were silent, and on how many the tills could read
    a broken file."""
    silent = harmed = 0
    for night in NIGHTS:
        ended, seen = run(script, night)
        broken = bool(seen - {YESTERDAY, TONIGHT, AGAIN})
        assert night != "good" or (ended == [0] and not broken), f"{script} fails on a good night"
        harmed += broken
        silent += 0 in ended and (broken or not seen & {TONIGHT, AGAIN})
    return {"silent": silent, "harmed": harmed}


def stages(folder):
    """The script as it was found, with ShellCheck's findings repaired, and with `set -e`
    back in force."""
    text = FOUND.read_text()
    linted = text.replace("$shelf/histories.csv", '"$shelf/histories.csv"')
    linted = linted.replace("local rows=$(", "local rows\n    rows=$(")
    strict = linted.partition("if publish")[0] + "publish\necho OK\n"
    for name, script in {"found": text, "linted": linted, "strict": strict}.items():
        path = Path(folder) / f"{name}.sh"
        path.write_text(script)
        yield name, path
    yield "repaired", REPAIRED


if __name__ == "__main__":
    if missing := [tool for tool in ("bash", "curl", "flock", "sha256sum") if shutil.which(tool) is None]:
        print(
            f"the scripts need {', '.join(missing)}: on macOS, brew install coreutils flock", file=sys.stderr
        )
        sys.exit(69)  # EX_UNAVAILABLE
    with tempfile.TemporaryDirectory() as scratch:
        figures = {"nights": len(NIGHTS) - 1}
        for stage, path in stages(scratch):
            figures |= {f"{what}_{stage}": count for what, count in judged(path).items()}
    print(json.dumps(figures))

"""The script that publishes the histories: whole, or not at all, on good nights and on bad ones."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPT = ROOT / "tally" / "publish.sh"
TOOLS = ["bash", "curl", "flock", "sha256sum"]
needs_shell = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"the script needs {', '.join(TOOLS)}"
)


def table(late):
    return ("customer_id,late_180d\n" + "".join(f"{n},{late}\n" for n in range(4_000))).encode()


YESTERDAY, TONIGHT = table(1), table(2)
HALF, EMPTY, PAGE = TONIGHT[:15_000], b"customer_id,late_180d\n", b"<h1>Bad gateway</h1>\n"


@contextmanager
def sender(body=TONIGHT, counted=TONIGHT, status=200, breaks=False, waits=False):
    """A server of this file; yields its address and the event without which `waits` sends only half of it."""
    go_on = threading.Event()

    class Sender(BaseHTTPRequestHandler):
        def do_GET(self):
            content = body
            if asks_for_sum := self.path.endswith(".sha256"):
                content = f"{hashlib.sha256(counted).hexdigest()}  histories.csv\n".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            if waits and not asks_for_sum:
                go_on.wait(60)
            if asks_for_sum or not breaks:
                self.wfile.write(content[len(content) // 2 :])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Sender) as server:
        server.handle_error = lambda *_: None  # whoever asked is gone
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", go_on
        finally:
            go_on.set()
            server.shutdown()


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "the shelf"
    folder.mkdir()
    (folder / "histories.csv").write_bytes(YESTERDAY)
    return folder


def start(*words):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(["bash", SCRIPT, *words], start_new_session=True, **quiet)


def publish(*words):
    return start(*words).wait(60)


def read(shelf):
    return (shelf / "histories.csv").read_bytes()


def left_on(shelf):
    return {path.name for path in shelf.iterdir()} - {"histories.csv", ".lock"}


def wait_for_a_part(shelf):
    until = time.monotonic() + 30
    while not any(path.stat().st_size > 1_000 for path in shelf.glob(".work.*/histories.csv")):
        assert time.monotonic() < until, "the script has not begun to fetch"
        time.sleep(0.01)


@needs_shell
def test_a_good_night_is_published(shelf):
    with sender() as (url, _):
        assert publish(url, shelf) == 0
    assert read(shelf) == TONIGHT and not left_on(shelf)


@needs_shell
@pytest.mark.parametrize(
    ("night", "code"),
    [
        ({"body": PAGE, "status": 502}, 4),
        ({"breaks": True}, 4),
        ({"body": PAGE}, 5),
        ({"body": HALF}, 5),
        ({"body": EMPTY, "counted": EMPTY}, 5),
    ],
    ids=["an error", "the line breaks", "an error page", "half an export", "no rows"],
)
def test_a_bad_night_is_refused_with_its_code_and_yesterday_s_file_stays(shelf, night, code):
    with sender(**night) as (url, _):
        assert publish(url, shelf) == code
    assert read(shelf) == YESTERDAY and not left_on(shelf)


@needs_shell
def test_when_nobody_answers_yesterday_s_file_stays(shelf):
    with sender() as (url, _):
        pass
    assert publish(url, shelf) == 4
    assert read(shelf) == YESTERDAY


@needs_shell
def test_a_checksum_knows_no_date(shelf):
    with sender(YESTERDAY, YESTERDAY) as (url, _):
        assert publish(url, shelf) == 0, "this one needs an alert on the age of the newest row"


@needs_shell
def test_a_till_that_reads_meanwhile_reads_a_whole_file_and_a_second_run_is_refused(shelf):
    with sender(waits=True) as (url, go_on), (shelf / "histories.csv").open("rb") as reader:
        first = start(url, shelf)
        wait_for_a_part(shelf)
        assert read(shelf) == YESTERDAY
        assert publish(url, shelf) == 3
        go_on.set()
        assert first.wait(60) == 0
        assert reader.read() == YESTERDAY, "what was open is read to its end"
    assert read(shelf) == TONIGHT


@needs_shell
@pytest.mark.parametrize("whom", ["the script alone", "all of its processes"])
def test_after_a_kill_the_next_run_publishes_and_clears_up(shelf, whom):
    with sender(waits=True) as (url, go_on):
        first = start(url, shelf)
        wait_for_a_part(shelf)
        try:
            if whom == "the script alone":
                first.kill()  # its curl lives on, and must not keep the lock
            else:
                os.killpg(first.pid, signal.SIGKILL)
            first.wait()
            assert read(shelf) == YESTERDAY and left_on(shelf)
            with sender() as (other, _):
                assert publish(other, shelf) == 0
            assert read(shelf) == TONIGHT and not left_on(shelf)
            go_on.set()
        finally:
            if whom == "the script alone":
                os.killpg(first.pid, signal.SIGKILL)
    assert read(shelf) == TONIGHT, "nor may it write into what was published"


@needs_shell
def test_whoever_stops_it_leaves_nothing_behind(shelf):
    with sender(waits=True) as (url, _):
        job = start(url, shelf)
        wait_for_a_part(shelf)
        os.killpg(job.pid, signal.SIGTERM)
        assert job.wait(60) != 0
    assert read(shelf) == YESTERDAY and not left_on(shelf)


@needs_shell
def test_a_dry_run_fetches_and_checks_and_changes_nothing(shelf):
    with sender() as (url, _):
        assert publish("--dry-run", url, shelf) == 0
    with sender(HALF) as (url, _):
        assert publish("--dry-run", url, shelf) == 5
    assert read(shelf) == YESTERDAY and not left_on(shelf)


@needs_shell
@pytest.mark.parametrize("call", [[], ["http://127.0.0.1:1"], ["http://127.0.0.1:1", "/no/such/folder"]])
def test_a_wrong_call_says_what_a_right_one_is(call):
    done = subprocess.run(["bash", SCRIPT, *call], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage" in done.stderr or "/no/such/folder" in done.stderr


def test_the_linter_is_content():
    linter = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([linter, "--format=gcc", SCRIPT], capture_output=True, text=True)
    assert not re.findall(r"\[(SC\d+)\]", done.stdout)

"""The tools of chapter 12: each is run as it would be at night, on a day that goes wrong."""

import asyncio
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from api_client import Lossy, Undecided, decide, lender
from conftest import ROOT
from publish_nights import FOUND, NIGHTS, REPAIRED, TONIGHT, YESTERDAY, run, source, stages

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent
TOOLS = ["bash", "curl", "flock", "sha256sum"]
needs_shell = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"the scripts need {', '.join(TOOLS)}"
)


# Publish a file: publish.sh


def linted(script, *options):
    done = subprocess.run(
        [BIN / "shellcheck", "--format", "gcc", *options, script], capture_output=True, text=True
    )
    return done.returncode, set(re.findall(r"\[(SC\d+)\]", done.stdout))


def test_the_linter_names_two_faults_of_the_script_and_none_of_the_repaired_one(tmp_path):
    assert linted(FOUND) == (1, {"SC2086", "SC2155"})
    assert linted(REPAIRED) == (0, set())
    assert linted(dict(stages(tmp_path))["linted"])[0] == 0, "what is repaired by the linter satisfies it"


def test_that_set_e_is_off_is_said_only_by_a_check_that_is_off():
    assert "SC2310" in linted(FOUND, "--enable", "check-set-e-suppressed")[1]


@needs_shell
@pytest.mark.parametrize(
    ("night", "code"),
    {
        "an error page": 4,
        "the line breaks": 4,
        "nobody answers": 4,
        "the export broke off": 5,
        "no rows": 5,
    }.items(),
)
def test_the_repaired_script_refuses_and_leaves_yesterdays_file(night, code):
    assert run(FOUND, night)[0] == [0], "the script as it was found said OK"
    assert YESTERDAY not in run(FOUND, night)[1], "and had overwritten the file"
    assert run(REPAIRED, night) == ([code], {YESTERDAY})


@needs_shell
@pytest.mark.parametrize("night", ["good", "a space in the shelf's name"])
def test_the_repaired_script_publishes(night):
    assert run(REPAIRED, night) == ([0], {TONIGHT})


@needs_shell
def test_a_till_reads_yesterdays_file_or_tonights():
    assert run(REPAIRED, "a till reads meanwhile") == ([0], {YESTERDAY, TONIGHT})
    assert not run(FOUND, "a till reads meanwhile")[1] <= {YESTERDAY, TONIGHT}


@needs_shell
def test_the_second_of_two_runs_is_sent_away():
    assert run(REPAIRED, "two runs") == ([0, 3], {YESTERDAY, TONIGHT})


@needs_shell
def test_what_the_sender_counted_wrongly_is_published():
    assert run(REPAIRED, "yesterday's file") == ([0], {YESTERDAY}), "a checksum knows no date"


@needs_shell
def test_a_dry_run_fetches_and_checks_and_changes_nothing():
    assert run(REPAIRED, "good", "--dry-run") == ([0], {YESTERDAY})
    assert run(REPAIRED, "the export broke off", "--dry-run") == ([5], {YESTERDAY})


@needs_shell
@pytest.mark.parametrize("call", [[], ["http://127.0.0.1:1"], ["http://127.0.0.1:1", "/no/such/folder"]])
def test_a_wrong_call_says_what_a_right_one_is(call):
    done = subprocess.run(["bash", REPAIRED, *call], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage" in done.stderr or "/no/such/folder" in done.stderr


@needs_shell
def test_whoever_stops_it_leaves_the_shelf_as_it_was(tmp_path):
    read = tmp_path / "histories.csv"
    read.write_bytes(YESTERDAY)
    with source("a till reads meanwhile") as (url, _):
        job = subprocess.Popen(["bash", REPAIRED, url, tmp_path], start_new_session=True)
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob(".work.*/histories.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(job.pid, 15)
        assert job.wait(20) != 0
    assert read.read_bytes() == YESTERDAY
    assert not list(tmp_path.glob(".work.*"))


def test_the_nights_are_nine_and_a_good_one():
    assert len(NIGHTS) == 10


# The client of an API


class Line(httpx.AsyncBaseTransport):
    """Answers what stands in a list, in order: a status, an exception, or a decision."""

    def __init__(self, *script):
        self.script, self.keys = list(script), []

    async def handle_async_request(self, request):
        self.keys.append(request.headers.get("Idempotency-Key"))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return httpx.Response(said, json={"approved": True})


def asked(line, basket=20.0, key="k1", **how):
    """The answer of one till over a line (a transport, or the address of a server)."""
    to = {"base_url": line} if isinstance(line, str) else {"transport": line, "base_url": "http://lender"}

    async def ask():
        async with httpx.AsyncClient(**to) as client:
            return await decide(client, {"customer": 1, "basket": basket}, key, **how)

    with ThreadPoolExecutor(1) as thread:  # the browser's fixture keeps a loop running in this one
        return thread.submit(asyncio.run, ask()).result()


@pytest.mark.parametrize(
    "fault", [httpx.ConnectTimeout("x"), httpx.ReadTimeout("x"), 409, 429, 502, 503, 504]
)
def test_what_may_pass_is_asked_again_with_the_same_key(fault):
    line = Line(fault, 200)
    assert asked(line) == {"approved": True}
    assert line.keys == ["k1", "k1"]


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_what_no_repetition_cures_is_said_at_once(status):
    line = Line(status)
    with pytest.raises(httpx.HTTPStatusError):
        asked(line)
    assert len(line.keys) == 1


def test_when_time_is_up_the_till_is_told_why():
    line, before = Line(503), time.monotonic()
    with pytest.raises(Undecided, match="503"):
        asked(line, budget=0.5)
    assert 0.5 <= time.monotonic() - before < 1.5, "no pause goes on after the budget"
    assert len(line.keys) < 25, "the pauses grow"


class Wire(socketserver.ThreadingTCPServer):
    """A service on a real socket, which answers each attempt as it is told, and the last way from then on."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, *ways):
        self.ways, self.keys, self.over = list(ways), [], threading.Event()
        super().__init__(("127.0.0.1", 0), self.answer)

    class answer(socketserver.StreamRequestHandler):
        def handle(self):
            lines = iter(self.rfile.readline, b"\r\n")
            said = dict(line.decode().strip().lower().split(": ", 1) for line in list(lines)[1:])
            self.rfile.read(int(said["content-length"]))
            wire = self.server
            wire.keys.append(said["idempotency-key"])
            way = wire.ways[min(len(wire.keys), len(wire.ways)) - 1]
            reply = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"approved": true}'
            if way == "answers":
                self.wfile.write(reply)
            elif way == "swallows":  # the request has arrived, and the line stays open
                wire.over.wait(20)
            elif way == "drips":  # always a byte before any reader grows impatient
                for byte in reply:
                    if wire.over.wait(0.1):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()

    def handle_error(self, *_):
        """Whoever asked has gone."""


@pytest.fixture
def wire():
    made = []

    def make(*ways):
        server = Wire(*ways)
        made.append(server)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_address[1]}"

    yield make
    for server in made:
        server.over.set()
        server.shutdown()
        server.server_close()


def test_a_reply_that_a_real_line_swallows_costs_one_attempt_and_not_the_purchase(wire):
    server, address = wire("swallows", "answers")
    before = time.monotonic()
    assert asked(address, attempt=0.4, budget=3.0) == {"approved": True}
    assert 0.4 <= time.monotonic() - before < 2.5
    assert server.keys == ["k1", "k1"]


def test_with_the_whole_budget_for_one_attempt_there_is_no_second(wire):
    """The positive control: this is what the test above must be able to see."""
    server, address = wire("swallows", "answers")
    with pytest.raises(Undecided):
        asked(address, attempt=0.6, budget=0.6)
    assert server.keys == ["k1"]


def test_a_reply_that_drips_ends_with_the_budget(wire):
    _, address = wire("drips")
    before = time.monotonic()
    with pytest.raises(Undecided, match="no whole answer"):
        asked(address, attempt=0.4, budget=1.0)
    assert 1.0 <= time.monotonic() - before < 2.5, "the whole reply would take seven seconds"


def test_httpx_s_own_timeout_would_have_let_it_drip(wire):
    _, address = wire("drips")
    headers = {"Idempotency-Key": "k"}
    before = time.monotonic()
    httpx.post(f"{address}/decisions", json={}, headers=headers, timeout=0.5)
    assert time.monotonic() - before > 4


@pytest.fixture
def shop():
    app = lender()
    return app, lambda basket, key: asked(Lossy(app, seed=1, requests=0, replies=0), basket, key)


def test_one_key_is_one_decision(shop):
    app, ask = shop
    assert [ask(300.0, "k1") for _ in range(3)] == [{"approved": True}] * 3
    assert app.state.entries == [(1, 300.0)]


def test_without_a_key_the_second_attempt_is_another_purchase(shop):
    _, ask = shop
    assert [ask(300.0, None)["approved"] for _ in range(2)] == [True, False], "booked, and told no"


def test_a_refusal_is_remembered_too(shop):
    app, ask = shop
    assert not ask(600.0, "k1")["approved"]
    assert not ask(600.0, "k1")["approved"]
    assert app.state.entries == []


def test_a_key_that_comes_with_another_purchase_is_an_error(shop):
    _, ask = shop
    ask(20.0, "k1")
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        ask(21.0, "k1")


# Types of columns


def test_text_takes_several_times_the_memory_of_a_category(applications):
    text = applications.region.astype(object).memory_usage(index=False, deep=True)
    assert text > 20 * applications.region.memory_usage(index=False, deep=True)


def test_a_loop_over_rows_is_slower_by_more_than_a_factor_of_ten(applications):
    some = applications[:20_000]
    before = time.perf_counter()
    by_row = some.apply(lambda row: row.basket / row.income, axis=1)
    between = time.perf_counter()
    at_once = some.basket / some.income
    after = time.perf_counter()
    assert by_row.equals(at_once)
    assert between - before > 10 * (after - between)


# The manifest


@pytest.fixture(params=["manifest_to_read.yml", "manifest_repaired.yml"])
def container(request):
    manifest = yaml.safe_load((ARTEFACTS / request.param).read_text())
    assert manifest["spec"]["selector"]["matchLabels"] == manifest["spec"]["template"]["metadata"]["labels"]
    return request.param, manifest["spec"]["template"]["spec"]["containers"][0]


def test_the_schema_likes_both_manifests(container):
    done = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", ARTEFACTS / container[0]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def faults(container, seconds_to_load=90):
    """What a reader finds and the schema does not."""
    first = container.get("startupProbe", container["livenessProbe"])
    patience = first["periodSeconds"] * first["failureThreshold"]
    found = {
        "image": "@sha256:" not in container["image"],
        "secret": any("value" in variable for variable in container["env"]),
        "memory": "memory" not in container["resources"].get("limits", {}),
        "start": patience < 1.5 * seconds_to_load,
        "ready": "readinessProbe" not in container,
    }
    return {name for name, wrong in found.items() if wrong}


def test_a_reader_finds_five_faults_and_none_after_the_repair(container):
    name, what = container
    assert faults(what) == (
        {"image", "secret", "memory", "start", "ready"} if name == "manifest_to_read.yml" else set()
    )


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():
    lines = json.loads((ROOT / "chapters/artefacts/api_client.json").read_text())
    assert lines["booked_and_told_no_without_least"] >= 1, "on each line at least one shopper was told no"
    assert lines["booked_twice_with_most"] == lines["booked_and_told_no_with_most"] == 0
    assert lines["booked_twice_without_least"] > 5, "the line is bad enough to show it"

"""The tools of chapter 12: each is run as it would be at night, on a day that goes wrong."""

import asyncio
import json
import socketserver
import subprocess
import sys
import threading
import time
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jax
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from api_client import Lossy, Undecided, decide, lender
from broken_off import broken_off, histories
from conftest import ROOT
from frame_types import cast, smallest
from training_loop import batches, best, load, loss, rows, save, start, train, update

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent

# The script to repair


def test_the_script_to_repair_is_the_lab_s():
    lab = nbformat.read(ROOT / "labs" / "12_shell_and_git.ipynb", as_version=4)
    script = literal_eval(next(cell.source for cell in lab.cells if cell.id == "found").partition(" = ")[2])
    assert (ARTEFACTS / "publish_to_repair.sh").read_text() == script


def test_a_file_that_breaks_off_keeps_whole_rows_and_loses_the_newest_customers(applications):
    whole = histories(applications, "2024-11-14")
    left = broken_off(whole, 0.6)
    pd.testing.assert_frame_equal(left, whole.iloc[: len(left)], check_dtype=False, check_index_type=False)
    missing = whole[~whole.index.isin(left.index)]
    assert 150 < missing.tenure_days.max() < 240 < left.tenure_days.max(), (
        "a customer since May can be among them"
    )
    with pytest.raises(pd.errors.EmptyDataError):
        broken_off(whole, 0.0001)


# The training loop


@pytest.fixture(scope="module")
def known(applications):
    return rows(applications, "2024-03-15")


def test_the_loop_ends_where_scikit_learn_does(applications, tmp_path):
    august = rows(applications, "2024-09-01")
    _, losses = train(*august, tmp_path / "run.npz")
    assert 0 < losses[-1] - best(*august) < 1e-4
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("broken_after", [1, 3])
def test_a_resumed_run_is_the_same_run_to_the_last_bit(known, tmp_path, broken_after):
    whole, losses = train(*known, tmp_path / "whole.npz", until=5)
    train(*known, tmp_path / "broken.npz", until=broken_after)
    resumed, rest = train(*known, tmp_path / "broken.npz", until=5)
    assert np.array_equal(resumed, whole)
    assert rest == losses[broken_after:]


@pytest.mark.parametrize("forget", ["optimiser", "epoch"])
def test_a_run_that_forgets_is_another_one(known, tmp_path, forget):
    whole, _ = train(*known, tmp_path / "whole.npz", until=5)
    train(*known, tmp_path / "broken.npz", until=3)
    careless, _ = train(*known, tmp_path / "broken.npz", until=5, forget=forget)
    assert not np.allclose(careless, whole, atol=1e-3)


def test_the_gradient_is_the_one_of_the_textbook(known):
    inputs, repaid = known
    weights = np.linspace(-0.5, 0.5, inputs.shape[1])
    chance = 1 / (1 + np.exp(-inputs @ weights))
    by_hand = inputs.T @ (chance - repaid) / len(inputs) + 1e-4 * np.append(weights[:-1], 0)
    assert np.allclose(jax.grad(loss)(weights, inputs, repaid), by_hand)


def test_an_epoch_sees_each_row_once_at_most_and_never_in_the_same_order():
    first, second = (np.concatenate(batches(2000, epoch)) for epoch in (0, 1))
    assert len(set(first)) == len(first) == 2000 // 256 * 256
    assert list(first) != list(second)
    assert list(first) == list(np.concatenate(batches(2000, 0)))


def test_a_checkpoint_that_is_not_whole_is_not_loaded(known, tmp_path):
    state = update(start(8), *known, 0.01)
    path = tmp_path / "run.npz"
    save(path, state, epoch=0)
    assert load(path, 8)[1] == 1
    with pytest.raises(ValueError, match="no checkpoint of this model"):
        load(path, 9)
    np.savez(path, weights=state["weights"], epoch=0)
    with pytest.raises(ValueError, match="no checkpoint of this model"):
        load(path, 8)


def test_a_crash_while_saving_leaves_the_last_checkpoint(known, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    save(path, start(8), epoch=0)

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError):
        save(path, start(8), epoch=1)
    assert load(path, 8)[1] == 1


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


def test_a_type_that_changes_a_value_is_refused_with_its_column(applications):
    january = applications[applications.applied_at < "2024-02-01"]
    learned = smallest(january)
    assert cast(january, learned).application_id.tolist() == january.application_id.tolist()
    with pytest.raises(ValueError, match=r"^application_id: int16 changes \d+ of \d+ values"):
        cast(applications, learned)


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
    night, training = (
        json.loads((ROOT / f"chapters/artefacts/{name}.json").read_text())
        for name in ("broken_off", "training_loop")
    )
    lines = json.loads((ROOT / "chapters/artefacts/api_client.json").read_text())
    assert lines["booked_and_told_no_without_least"] >= 1, "on each line at least one shopper was told no"
    assert lines["booked_twice_with_most"] == lines["booked_and_told_no_with_most"] == 0
    assert lines["booked_twice_without_least"] > 5, "the line is bad enough to show it"
    assert night["share_of_bytes"] == 0.6, "after six tenths of the bytes"
    assert night["now_approved"] > night["now_declined"], "more often than not in their favour"
    assert training["gap_optimiser"] < training["gap"], "it ended lower"
    assert training["differ_nothing"] == 0, "to the last bit"

"""Tally's client: each attempt with the same key, an end in time, and no more retries than there are paid for."""

import asyncio
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tally.client import LONGEST_PAUSE, RetryBudget, Undecided, decide


class Line(httpx.AsyncBaseTransport):
    """Answers what stands in a list, in order: a status, an exception, or a decision."""

    def __init__(self, *script):
        self.script, self.keys = list(script), []

    async def handle_async_request(self, request):
        self.keys.append(request.headers.get("Idempotency-Key"))
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        status, *wait = said if isinstance(said, tuple) else (said,)
        return httpx.Response(
            status, json={"approved": True}, headers=[("Retry-After", told) for told in wait]
        )


def asked(line, basket=20.0, key="k1", budget=None, **how):
    """The answer of one till over a line (a transport, or the address of a server)."""
    to = {"base_url": line} if isinstance(line, str) else {"transport": line, "base_url": "http://lender"}

    async def ask():
        async with httpx.AsyncClient(**to) as client:
            return await decide(
                client,
                {"customer": 1, "basket": basket},
                key,
                budget or RetryBudget(percent=10_000, most=100),
                **how,
            )

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
        asked(line, deadline=0.5)
    assert 0.5 <= time.monotonic() - before < 1.5, "no pause goes on after the deadline"
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
    assert asked(address, attempt=0.4, deadline=3.0) == {"approved": True}
    assert 0.4 <= time.monotonic() - before < 2.5
    assert server.keys == ["k1", "k1"]


def test_with_the_whole_time_for_one_attempt_there_is_no_second(wire):
    """The positive control: this is what the test above must be able to see."""
    server, address = wire("swallows", "answers")
    with pytest.raises(Undecided):
        asked(address, attempt=0.6, deadline=0.6)
    assert server.keys == ["k1"]


def test_a_reply_that_drips_ends_with_the_deadline(wire):
    _, address = wire("drips")
    before = time.monotonic()
    with pytest.raises(Undecided, match="no whole answer"):
        asked(address, attempt=0.4, deadline=1.0)
    assert 1.0 <= time.monotonic() - before < 2.5, "the whole reply would take seven seconds"


def test_httpx_s_own_timeout_would_have_let_it_drip(wire):
    _, address = wire("drips")
    headers = {"Idempotency-Key": "k"}
    before = time.monotonic()
    httpx.post(f"{address}/decisions", json={}, headers=headers, timeout=0.5)
    assert time.monotonic() - before > 4


def test_a_service_that_names_a_time_is_left_alone_until_then():
    before = time.monotonic()
    assert asked(Line((429, "1"), 200)) == {"approved": True}
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize("wait", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_time_that_is_no_number_of_seconds_is_passed_over(wait):
    assert asked(Line((503, wait), 200)) == {"approved": True}


def test_a_time_beyond_the_deadline_ends_the_purchase_at_once_and_costs_no_retry():
    before, budget = time.monotonic(), RetryBudget(percent=0)
    with pytest.raises(Undecided, match="429"):
        asked(Line((429, "90"), 200), budget=budget, deadline=60.0)
    assert time.monotonic() - before < 30, "nobody waits for an answer that cannot come in time"
    assert budget.spend()


def test_without_budget_there_is_no_second_attempt():
    line, empty = Line(503), RetryBudget(percent=0)
    assert empty.spend(), "it begins with one"
    with pytest.raises(Undecided, match="budget"):
        asked(line, budget=empty)
    assert len(line.keys) == 1


def test_when_everything_fails_a_tenth_more_is_sent():
    line, budget = Line(503), RetryBudget(percent=10)
    for _ in range(50):
        with pytest.raises(Undecided, match="budget"):
            asked(line, budget=budget, pause=0.0)
    assert len(line.keys) == 50 + 5 + 1, "five retries were paid for, and it began with one"


def test_a_quiet_year_saves_up_no_storm():
    budget = RetryBudget(percent=10, most=10)
    for _ in range(1_000):
        budget.pay_in()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_pause_is_drawn_below_a_limit_that_doubles_up_to_the_longest(monkeypatch):
    limits = []
    monkeypatch.setattr("tally.client.random.uniform", lambda low, high: limits.append((low, high)) or 0.0)
    asked(Line(*[503] * 6, 200))
    assert limits == [(0, 0.1), (0, 0.2), (0, 0.4), *[(0, LONGEST_PAUSE)] * 3]

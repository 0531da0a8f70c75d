"""A class on one server: who comes in, what one learner sees of another, what is known of the class, what a crash costs.

The hub is a real one, on free ports of 127.0.0.1. Three learners and who teaches log in with a browser; what need not
be seen is asked over HTTP with the cookies that each browser got.
"""

import argparse
import asyncio
import datetime
import gc
import html
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import class_pod
import classroom
import nbformat
import psutil
import pytest
import requests
import yaml
from answers import exercises, name_of, tags
from classroom import Unready, faults, numbers, read_users, ready, with_entry
from conftest import DESK, ROOT
from playwright.sync_api import expect
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

sys.path.append(str(ROOT / "workshop" / "hub"))

import reporter
import whereabouts
from roll import Refused, Roll, weakness
from whereabouts import Record, known_cells, owner, token_for

pytestmark = [
    pytest.mark.xdist_group("class"),
    pytest.mark.filterwarnings(
        "ignore:unclosed <ssl:ResourceWarning"
    ),  # requests, where a redirection is given up
]
LAB = "07_drift_detection"
PASSWORD = "green kettle on the moon"


# The list, and what is in the way


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada\nbob\nada\n", "Line 3: ada is on the list already"),
        ("Ada\n", "Line 1: 'Ada' is no name"),
        ("../ada\n", "is no name"),
        ("ada;rm\n", "is no name"),
        ("a" * 40, "is no name"),
        ("root\n", "root is a user of this machine"),
        ("ada teacher\n", "nothing or `instructor`"),
        ("# nobody\n\n", "empty"),
        ("\n".join(f"u{number}" for number in range(1001)), "too many for one machine"),
    ],
)
def test_a_list_with_a_fault_gets_a_sentence(text, said):
    with pytest.raises(Unready, match=re.escape(said)):
        read_users(text, {"root"})


def test_a_list_says_who_teaches():
    assert read_users("ada\n bob # on the left\n\nana instructor\n") == {
        "ada": "learner",
        "bob": "learner",
        "ana": "instructor",
    }


def test_a_number_is_never_given_twice():
    assert numbers({}, ["ada", "bob"]) == {"ada": 66000, "bob": 66001}
    assert numbers({"bob": 66001}, ["ada"]) == {"bob": 66001, "ada": 66002}, (
        "bob has left, his files have not"
    )


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The arguments of a class that could begin, with nothing there yet."""
    monkeypatch.setattr(classroom, "find_spec", lambda name: True)
    monkeypatch.setattr(classroom, "proxy", lambda: "/proxy")
    monkeypatch.setattr(classroom.os, "getuid", lambda: 0)
    users = tmp_path / "users.txt"
    users.write_text("ada\nbob\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(users), "--port", str(port), "--folder", str(tmp_path / "class"), "--labs", LAB]
    return classroom.arguments(words)


def said_of(given, **changed):
    return list(faults(argparse.Namespace(**(vars(given) | changed)), {"ada": "learner", "bob": "learner"}))


def test_a_class_that_can_begin_has_no_fault(given):
    assert ready(given) == {"ada": "learner", "bob": "learner"}
    assert not given.folder.exists(), "looking changes nothing"
    given.users.write_text("ada\nbob\n", encoding="utf-8-sig")  # as Windows' editor saves it
    assert ready(given) == {"ada": "learner", "bob": "learner"}


def test_what_is_in_the_way_is_one_sentence_each(given, monkeypatch):
    def only(said, **changed):
        found = said_of(given, **changed)
        assert len(found) == 1 and said in found[0], found

    only("no address of this machine", host="192.0.2.7")
    only("an address in numbers", host="my-server")
    only("from 1 to 65535", port=70_000)
    only("from 1 to 65535", port=0)
    only("come together", cert="a.pem")
    only("not on the list", forget="eve")
    only("the one address", host="0.0.0.0")
    only("a number of seconds", idle=0)
    only("aren't root", together=True)
    monkeypatch.setattr(classroom.os, "getuid", lambda: 1000)
    assert said_of(given, together=True) == [], "to try it out"
    assert any("stays on this machine" in said for said in said_of(given, together=True, host="192.0.2.7"))
    monkeypatch.setattr(classroom.os, "getuid", lambda: 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        only("is in use", port=taken.getsockname()[1])
    monkeypatch.setattr(classroom, "memory", lambda: (2 * 2**30, 2**30))
    only("GiB of memory, and this machine has 2")
    monkeypatch.undo()
    monkeypatch.setattr(classroom, "find_spec", lambda name: None)
    monkeypatch.setattr(classroom, "proxy", lambda: None)
    monkeypatch.setattr(classroom.os, "getuid", lambda: 1000)
    found = " ".join(said_of(given))
    assert "--class" in found and "npm install" in found and "Only root" in found and "TOGETHER=yes" in found
    assert not given.folder.exists()
    with pytest.raises(Unready, match="no lab '99_none'"):
        said_of(given, labs=["99_none"])


def test_a_certificate_is_made_once_and_a_wrong_one_is_refused(tmp_path, given):
    cert, key = classroom.certificate(tmp_path, "127.0.0.1")
    assert key.stat().st_mode & 0o777 == 0o600
    assert classroom.certificate(tmp_path, "127.0.0.1") == (cert, key) and re.fullmatch(
        "([0-9A-F]{2}:){31}[0-9A-F]{2}", classroom.fingerprint(cert)
    )
    _, other = classroom.certificate(tmp_path, "::1")
    assert said_of(given, cert=str(cert), key=str(key)) == []
    (said,) = said_of(given, cert=str(cert), key=str(other))
    assert "is not the key of" in said
    (said,) = said_of(given, cert=str(key), key=str(key))
    assert "PEM" in said
    key.chmod(0o644)
    (said,) = said_of(given, cert=str(cert), key=str(key))
    assert "learners could: chmod 600" in said


# The roll


def test_the_first_login_takes_the_code_and_sets_the_password(tmp_path):
    roll = Roll(tmp_path / "roll.json", ["ada", "bob"])
    code = roll.codes()["ada"]
    for wrong in ("", "xxxx-xxxx-xxxx", roll.codes()["bob"]):
        with pytest.raises(Refused, match="wrong"):
            roll.admit("ada", PASSWORD, wrong)
    for weak, said in {
        "short": "at least 10",
        "aaaaaaaaaaaa": "easy to guess",
        "ada and eve and": "easy",
    }.items():
        with pytest.raises(Refused, match=said):
            roll.admit("ada", weak, code)
    roll.admit("ada", PASSWORD, code.upper())
    assert "ada" not in roll.codes()
    again = Roll(tmp_path / "roll.json", ["ada", "bob"])
    assert again.codes() == roll.codes(), "the slips of paper hold after a restart"
    again.admit("ada", PASSWORD, "")
    with pytest.raises(Refused):
        again.admit("ada", "another password", code)
    assert (tmp_path / "roll.json").stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in (tmp_path / "roll.json").read_text()
    again.forget("ada")
    again.admit("ada", "a new password for her", again.codes()["ada"])


def test_guessing_is_slow(tmp_path):
    roll, clock = Roll(tmp_path / "roll.json", ["ada", "bob"]), [0]
    for _ in range(5):
        with pytest.raises(Refused, match="wrong"):
            roll.admit("ada", "guess", "", lambda: clock[0])
    with pytest.raises(Refused, match="wait"):
        roll.admit("ada", PASSWORD, roll.codes()["ada"], lambda: clock[0])
    roll.admit("bob", PASSWORD, roll.codes()["bob"], lambda: clock[0])  # is not held up
    clock[0] = 61
    roll.admit("ada", PASSWORD, roll.codes()["ada"], lambda: clock[0])


def test_guesses_side_by_side_count_each(tmp_path):
    roll = Roll(tmp_path / "roll.json", ["ada"])

    def guess(_):
        try:
            roll.admit("ada", "guess", "")
        except Refused as refused:
            return "wait" in str(refused)

    with ThreadPoolExecutor(8) as side_by_side:
        assert sum(map(bool, side_by_side.map(guess, range(24)))) == 24 - 5


def test_nobody_elsewhere_is_kept_out_by_guesses(tmp_path):
    roll = Roll(tmp_path / "roll.json", ["ada"])
    said = {name: [] for name in ("ada", "eve")}
    for name, heard in said.items():
        for _ in range(7):
            with pytest.raises(Refused) as refused:
                roll.admit(name, "guess", "", address="192.0.2.7")
            heard.append(str(refused.value))
    assert said["ada"] == said["eve"], "nor does it say who is on the list"
    roll.admit("ada", PASSWORD, roll.codes()["ada"], address="192.0.2.8")


@pytest.mark.parametrize(
    "password", ["password123", "Passwort-2026", "1234567890", "qwertyuiop", "zyxwvutsrqponm", "0987654321"]
)
def test_what_everybody_guesses_first_is_no_password(password):
    assert "easy to guess" in weakness("ada", password)


def test_a_short_name_leaves_passwords_to_choose():
    assert weakness("e", PASSWORD) == weakness("an", "a-7391-8462-55") == ""


# What learners hand in


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff.txt"), "\x1b[2J", "a\nHanded in: b", "\u202egpj"])
def test_no_name_of_a_file_ends_the_class_or_writes_to_the_terminal(name):
    assert re.fullmatch(r"[ -~]+", classroom.shown(name))
    assert classroom.shown("Übung 1.ipynb") == "Übung 1.ipynb"


def test_a_full_disk_ends_no_class(tmp_path, monkeypatch, capsys):
    """Of a class whose hub goes on until somebody stops it: what cannot be copied is said, and tried again."""
    (tmp_path / "hub").mkdir()
    clock, tried = iter(range(0, 1000, 6)), []

    def full(folder):
        tried.append(folder)
        if len(tried) < 3:
            raise OSError(28, "No space left on device")
        signal.raise_signal(signal.SIGTERM)
        return []

    hub = SimpleNamespace(poll=lambda: None, send_signal=lambda number: None, wait=lambda seconds: 0)
    for name, fake in {
        "collect": full, "start": lambda *_: hub, "answers": lambda _: False, "end": lambda _: None,
        "time": SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None),
    }.items():  # fmt: skip
        monkeypatch.setattr(classroom, name, fake)
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        assert classroom.hold({"class": str(tmp_path)}) == 0
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    assert capsys.readouterr().out.count("No space left") == 2


def test_a_file_of_the_hub_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    classroom.write(tmp_path / "uids.json", "old")
    monkeypatch.setattr(classroom.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        classroom.write(tmp_path / "uids.json", "new")
    assert (tmp_path / "uids.json").read_text() == "old"
    assert (tmp_path / "uids.json").stat().st_mode & 0o777 == 0o600


def test_only_plain_files_are_collected(tmp_path):
    box = tmp_path / "homes" / "ada" / "my-labs" / "hand-in"
    box.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (box / "lab.ipynb").write_text("{}")
    (box / "link").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret", box / "hard")
    os.mkfifo(box / "pipe")
    (box / "folder").mkdir()
    (box / "large").touch()
    os.truncate(box / "large", classroom.LARGEST_COPY + 1)
    (tmp_path / "homes" / "bob").mkdir()
    (tmp_path / "homes" / "bob" / "my-labs").symlink_to(tmp_path / "homes" / "ada" / "my-labs")
    assert classroom.collect(tmp_path) == ["ada/lab.ipynb"]
    assert classroom.collect(tmp_path) == [], "once is enough"
    (box / "lab.ipynb").write_text("{1}")
    assert classroom.collect(tmp_path) == ["ada/lab.ipynb"]


# Who is where


def check_cell():
    notebook = nbformat.read(ROOT / "labs" / f"{LAB}.ipynb", as_version=4)
    return next((name_of(check), check) for _, _, check in exercises(notebook.cells))


def last_cell():
    notebook = nbformat.read(ROOT / "labs" / f"{LAB}.ipynb", as_version=4)
    return next(cell for cell in notebook.cells if cell.source.strip() == "summary()")


def test_a_message_is_known_by_its_place_alone():
    source = 'with check("f", returns=float) as shown:\n    assert f(1), "one"\n    assert f(2), f"two is {f(2)} here"\n'
    assert reporter.outcome(source, {"f": ("mistaken", "one.")}) == 1
    assert reporter.outcome(source, {"f": ("mistaken", "two is 7 here.")}) == 2
    assert reporter.outcome(source, {"f": ("mistaken", "it gives back a string.")}) == 0
    assert reporter.outcome(source, {"f": ("passed", "well done")}) == "passed"
    assert reporter.outcome(source, {"f": ("open", "open.")}) == "open"
    assert reporter.outcome("f(1)", {"f": ("passed", "")}) is None
    assert whereabouts.messages(source) == ("one", "two is … here")
    below = {"f": f'def helps():\n    assert g(), "zero"\n{source}'}
    assert reporter.outcome(source, {"f": ("mistaken", "zero.")}, below) == 1
    assert reporter.outcome(source, {"f": ("mistaken", "two is 7 here.")}, below) == 3


@pytest.mark.parametrize(("notebook", "sent"), [(LAB, 1), ("my-diary", 0)])
def test_of_a_notebook_of_ones_own_not_even_the_name_is_sent(monkeypatch, notebook, sent):
    queues, hooks = [], []
    monkeypatch.setattr(reporter, "LAB", notebook)
    monkeypatch.setattr(reporter, "send", queues.append)
    reporter.watch(SimpleNamespace(events=SimpleNamespace(register=lambda _, hook: hooks.append(hook))))
    info = SimpleNamespace(cell_id="a", store_history=True, raw_cell="1")
    hooks[0](SimpleNamespace(info=info))
    until(lambda: queues, 5)
    assert queues[0].qsize() == sent


def test_every_check_is_known_with_its_messages():
    cells = known_cells()
    for path in sorted((ROOT / "labs").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for _, _, check in exercises(notebook.cells):
            known = cells[path.stem, check.id]
            assert known.exercise == name_of(check) and known.messages, path
            patterns = reporter.messages(reporter.checks(path)[known.exercise])
            assert len(patterns) == len(known.messages), "a place means the same on both sides"
        assert sum(cell.last for cell in cells.values() if cell.lab == path.stem) == 1, path
        assert not any("glue" in tags(cell) for cell in notebook.cells if (path.stem, cell.id) in cells)


@pytest.fixture
def record(tmp_path):
    record = Record(tmp_path / "where.sqlite", known_cells())
    yield record
    record.database.close()


def test_counts_are_those_of_the_class(record):
    name, check = check_cell()
    for learner, outcome in {"ada": "passed", "bob": 1, "cem": 1, "dan": "open"}.items():
        record.take(learner, {"lab": LAB, "cell": check.id, "outcome": outcome})
    record.take("eve", {"lab": LAB, "cell": last_cell().id, "outcome": None})
    assert record.counts()[name] == {"not tried": 1, "passed": 1, "1": 2, "open": 1}
    record.take("bob", {"lab": LAB, "cell": check.id, "outcome": "passed"})
    assert record.counts()[name] == {"not tried": 1, "passed": 2, "1": 1, "open": 1}
    page = whereabouts.for_instructor(record)
    assert "1 × " in page and not re.search("ada|bob|cem|dan|eve", page), "no name of who raised no hand"
    record.raise_hand("cem")
    assert "<strong>cem</strong>" in whereabouts.for_instructor(record)
    record.withdraw("cem")
    record.take("cem", {"lab": LAB, "cell": check.id, "outcome": 1})
    assert record.people() == 4 and record.hands() == []
    assert record.counts()[name] == {"not tried": 1, "passed": 2, "open": 1}


@pytest.mark.parametrize("outcome", [99, -1, True, 1.5, "failed", [1], {"code": "x"}])
def test_a_report_that_no_kernel_sends_is_refused(record, outcome):
    _, check = check_cell()
    with pytest.raises(ValueError, match="no such outcome"):
        record.take("ada", {"lab": LAB, "cell": check.id, "outcome": outcome})
    with pytest.raises(ValueError, match="no such outcome"):
        record.take("ada", {"lab": LAB, "cell": last_cell().id, "outcome": "passed"})
    with pytest.raises(ValueError, match="a lab, a cell and an outcome"):
        record.take("ada", {"lab": LAB, "cell": check.id, "outcome": 1, "code": "x = 1"})
    record.take("ada", {"lab": LAB, "cell": "of-her-own", "outcome": None})
    assert record.people() == 0


def test_nobody_reports_as_another(tmp_path):
    (tmp_path / "where.secret").write_text("secret")
    token = token_for(tmp_path, "ada")
    assert owner(tmp_path, token) == "ada"
    assert (
        owner(tmp_path, token.replace("ada", "bob")) == owner(tmp_path, "ada:") == owner(tmp_path, "") == ""
    )


def test_five_make_a_median_and_a_break_is_no_work(tmp_path, record):
    first, last = next(cell for lab, cell in record.cells if lab == LAB), last_cell().id
    for learner, minutes in enumerate([10, 12, 14, 16]):
        record.take(learner, {"lab": LAB, "cell": first, "outcome": None}, lambda: 0)
        record.take(
            learner, {"lab": LAB, "cell": last, "outcome": None}, lambda minutes=minutes: 60 * minutes
        )
    assert record.minutes() == {}, "four are too few"
    for moment, cell in {
        0: first,
        7: first,
        67: first,
        80: last,
        90: last,
    }.items():  # an hour's lunch, and on after it
        record.take("late", {"lab": LAB, "cell": cell, "outcome": None}, lambda moment=moment: 60 * moment)
    assert record.minutes() == {LAB: (5, 14)}
    record.database.close()
    (tmp_path / "hub").mkdir()
    (tmp_path / "where.sqlite").rename(tmp_path / "hub" / "where.sqlite")
    classroom.end({"class": str(tmp_path), "timings": str(tmp_path / "timings.yml")})
    today = datetime.date.today().isoformat()
    assert (
        tmp_path / "timings.yml"
    ).read_text() == f"{LAB}:\n  - {{date: {today}, people: 5, minutes: 14}}\n"
    assert not list((tmp_path / "hub").iterdir()), "erased at the end"


def test_an_entry_goes_to_its_lab():
    old = "# ours\na:\n  - {people: 5}\nb:\n  - {people: 6}\n"
    assert (
        with_entry(old, "a", {"people": 7})
        == "# ours\na:\n  - {people: 7}\n  - {people: 5}\nb:\n  - {people: 6}\n"
    )
    assert with_entry("", "a", {"people": 7}) == "a:\n  - {people: 7}\n"


# Beyond one machine

# which values the chart knows, as far as ours go: the schema of Zero to JupyterHub, version 4, of July 2026
CHART = {
    "hub": {"config": ..., "concurrentSpawnLimit": int, "activeServerLimit": int, "resources": ...},
    "proxy": {"https": {"enabled": bool, "type": str, "hosts": list, "letsencrypt": {"contactEmail": str}}},
    "singleuser": {
        "image": {"name": str, "tag": str, "pullPolicy": str}, "cmd": list, "defaultUrl": str, "startTimeout": int,
        "uid": int, "fsGid": int, "allowPrivilegeEscalation": bool, "cpu": {"guarantee": float, "limit": float},
        "memory": {"guarantee": str, "limit": str},
        "storage": {"type": str, "capacity": str, "homeMountPath": str},
        "networkPolicy": {
            "enabled": bool,
            "egressAllowRules": {"cloudMetadataServer": bool, "nonPrivateIPs": bool, "privateIPs": bool},
        },
        "cloudMetadata": {"blockWithIptables": bool}, "extraEnv": ...,
    },
    "scheduling": {
        "userScheduler": {"enabled": bool}, "podPriority": {"enabled": bool},
        "userPlaceholder": {"enabled": bool, "replicas": int},
        "userPods": {"nodeAffinity": {"matchNodePurpose": str}},
    },
    "prePuller": {"hook": {"enabled": bool}, "continuous": {"enabled": bool}},
    "cull": {"enabled": bool, "timeout": int, "every": int},
}  # fmt: skip


def unknown(values, known, path=""):
    """The values that the chart doesn't know, or not of this type."""
    for name, value in values.items():
        kind = known.get(name)
        if isinstance(kind, dict) and isinstance(value, dict):
            yield from unknown(value, kind, f"{path}{name}.")
        elif kind is not ... and not (
            kind and not isinstance(kind, dict) and isinstance(value, (kind, int) if kind is float else kind)
        ):
            yield path + name


def test_the_chart_knows_every_value():
    values = yaml.safe_load((ROOT / "workshop" / "hub" / "values.yaml").read_text())
    assert list(unknown(values, CHART)) == []
    assert list(unknown({"cull": {"ever": 1, "timeout": "1h"}}, CHART)) == ["cull.ever", "cull.timeout"]


def test_the_memory_of_a_pod_is_that_of_the_largest_lab():
    values = yaml.safe_load((ROOT / "workshop" / "hub" / "values.yaml").read_text())["singleuser"]["memory"]
    need = (classroom.largest([]) + classroom.IDLE) / 1e6
    assert need <= int(values["guarantee"].removesuffix("M")) <= 1.2 * need
    assert values["limit"] == values["guarantee"], (
        "a pod that may take more than it asked for is stopped at random"
    )


def test_kubernetes_would_take_a_learner_s_pod(tmp_path):
    """What scripts/class_pod.py tries by Podman; the control has a limit that is none."""
    values = yaml.safe_load((ROOT / "workshop" / "hub" / "values.yaml").read_text())
    pod = class_pod.manifest(values, "localhost/mastering-mlops")
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == values["singleuser"]["memory"]["limit"]
    assert container["command"][:3] == values["singleuser"]["cmd"][:3]
    assert not any("singleuser" in word for word in container["command"])

    def said(pod):
        (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
        validate = Path(sys.executable).parent / "kubernetes-validate"
        return subprocess.run([validate, "--strict", tmp_path / "pod.yaml"], capture_output=True).returncode

    assert said(pod) == 0
    container["resources"]["limits"] = "1450M"
    assert said(pod) == 1


def test_the_image_is_made_as_the_linter_wants():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, ROOT / "workshop" / "hub" / "Containerfile"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


# A hub


class From(requests.adapters.HTTPAdapter):
    """Connects from `address`."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, source_address=(self.address, 0), **options)


class Visitor:
    """Somebody who asks the hub over HTTP."""

    def __init__(self, room, name):
        self.room, self.name, self.kernel, self.tab = room, name, None, None
        self.session = requests.Session()
        self.session.verify, self.session.trust_env = str(room.cert), False

    def sit_down(self, browser, code="", consent=None):
        """Log in with a browser, and start a server if there is a `consent` to tick or not."""
        context = browser.new_context(viewport=DESK, ignore_https_errors=True)  # past the browser's warning
        context.set_default_timeout(90_000)
        self.tab, self.asked = context.new_page(), []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.goto(self.room.address)
        self.tab.get_by_label("Username").fill(self.name)
        self.tab.get_by_label("Password", exact=False).first.fill(PASSWORD)
        self.tab.get_by_label("Code").fill(code)
        self.tab.get_by_role("button", name="Sign in").click()
        if consent is not None:
            box = self.tab.get_by_role("checkbox")
            box.wait_for()
            assert not box.is_checked()
            box.set_checked(consent)
            self.tab.get_by_role("button", name="Start").click()

    def settle(self, where):
        """Wait until the browser has come to `where`, and take over its cookies."""
        context = self.tab.context
        self.tab.wait_for_url(where, wait_until="commit")
        for cookie in context.cookies():
            self.session.cookies.set(
                cookie["name"], cookie["value"], domain=cookie["domain"], path=cookie["path"]
            )

    def leave(self):
        self.session.close()
        if self.tab is not None:
            self.tab.context.close()
            beyond = [url for url in self.asked if not re.match(rf"{self.room.address}|(data|blob):", url)]
            assert not beyond, "a page asked another host"

    def cookie(self, name, path):
        return next(
            cookie.value for cookie in self.session.cookies if (cookie.name, cookie.path) == (name, path)
        )

    def get(self, path, **options):
        return self.session.get(self.room.address + path, timeout=30, **options)

    def log_in(self, password=PASSWORD, code=""):
        page = self.get("/hub/login").text
        assert 'name="code"' in page
        hidden = re.search(r'name="_xsrf" value="([^"]*)"', page)[1]
        form = {"_xsrf": hidden, "username": self.name, "password": password, "code": code}
        return self.session.post(
            self.room.address + "/hub/login", data=form, allow_redirects=False, timeout=30
        )

    def spawn(self, **form):
        self.get("/hub/spawn")
        token = {"_xsrf": self.cookie("_xsrf", "/hub/")}
        self.session.post(self.room.address + "/hub/spawn", params=token, data=form, timeout=60)

    def enter(self):
        until(lambda: f"/user/{self.name}/lab" in self.get(f"/user/{self.name}/lab").url, 90)

    def run(self, code, cell=None):
        """Execute `code` in this learner's one kernel; return what it printed."""
        place = f"/user/{self.name}/"
        if self.kernel is None:
            self.kernel = self.session.post(
                self.room.address + place + "api/sessions",
                json={
                    "kernel": {"name": "python3"},
                    "name": LAB,
                    "path": f"my-labs/{LAB}.ipynb",
                    "type": "notebook",
                },
                headers={"X-XSRFToken": self.cookie("_xsrf", place)},
                timeout=30,
            ).json()["kernel"]["id"]
        with ThreadPoolExecutor(
            1
        ) as pool:  # the loop of an open browser, of other tests, belongs to this thread
            told = self.execute(f"{place}api/kernels/{self.kernel}/channels", code, cell)
            return pool.submit(asyncio.run, told).result()

    async def execute(self, path, code, cell):
        known = ssl.create_default_context(cafile=self.room.cert)
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.session.cookies if path.startswith(c.path))
        request = HTTPRequest(
            self.room.address.replace("https", "wss") + path, headers={"Cookie": cookies}, ssl_options=known
        )
        socket, number, printed = await websocket_connect(request), uuid.uuid4().hex, ""
        header = {
            "msg_id": number,
            "msg_type": "execute_request",
            "username": "",
            "session": "s",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {
            "header": header,
            "parent_header": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }
        await socket.write_message(json.dumps(message | {"metadata": {"cellId": cell}}))
        while True:
            told = json.loads(await asyncio.wait_for(socket.read_message(), 60))
            if told["parent_header"].get("msg_id") == number:
                content = told["content"]
                printed += content.get("text", "") + "\n".join(content.get("traceback", []))
                if content.get("execution_state") == "idle":
                    socket.close()
                    await socket.read_message()  # the other side closes as well
                    return printed


def until(done, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := done():
                return found
        except (requests.RequestException, OSError):
            pass
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} seconds")


class Room:
    """A class that runs."""

    def __init__(self, folder):
        self.folder, self.output = folder / "class", folder / "output"
        self.port = classroom.free_ports(["class"])["class"]
        self.address, self.cert = (
            f"https://127.0.0.1:{self.port}",
            self.folder / "hub" / "tls" / "127.0.0.1.crt",
        )
        (folder / "users.txt").write_text("ada\nbob\ncem\nana instructor\n")
        self.command = [
            sys.executable, ROOT / "scripts" / "classroom.py", folder / "users.txt", "--port", str(self.port),
            "--folder", self.folder, "--labs", LAB, "--timings", folder / "timings.yml",
        ]  # fmt: skip

    def start(self, times=1):
        with self.output.open("a") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output)
        self.wait(times)

    def wait(self, times):
        """Until the class has been open so many times."""
        until(
            lambda: self.printed().count("The class is open") >= times or self.process.poll() is not None, 120
        )
        assert self.process.poll() is None, self.printed()

    def printed(self):
        return self.output.read_text()

    def processes(self):
        """All that belongs to this class, by what it was started with."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if str(self.folder) in " ".join(process.info["cmdline"] or [])
            or str(self.folder) in (process.info["environ"] or {}).get("CLASS_SETTINGS", "")
        ]

    def hub(self):
        (hub,) = (
            p for p in self.processes() if "jupyterhub" in p.info["cmdline"] and "-m" in p.info["cmdline"]
        )
        return hub

    def stop(self):
        self.process.terminate()
        self.process.wait(120)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    if os.getuid():
        pytest.skip("only root can keep learners apart")
    if not classroom.find_spec("jupyterhub") or not classroom.proxy():
        pytest.skip("no JupyterHub: python3 scripts/environment.py --class")
    room = Room(tmp_path_factory.mktemp("room"))
    room.start()
    yield room
    if room.process.poll() is None:
        room.stop()
    for process in room.processes():
        process.kill()


@pytest.fixture(scope="module")
def people(room, browser):
    """ada and cem, who agreed to be counted, bob, who didn't, and ana, who teaches."""
    codes = dict(re.findall(r"^    (\w+) +((?:\w{4}-){2}\w{4})$", room.printed(), re.M))
    people = {name: Visitor(room, name) for name in codes}
    assert people.keys() == {"ada", "bob", "cem", "ana"}
    for name, consent in {"ada": True, "bob": False, "cem": True, "ana": None}.items():
        people[name].sit_down(browser, codes[name], consent)
    for name in ("ada", "bob", "cem"):
        people[name].settle(f"**/user/{name}/lab/**")
    people["ana"].settle("**/hub/**")
    yield people
    for visitor in people.values():
        visitor.leave()
    gc.collect()  # what requests left open is closed here, and not in somebody else's test


def test_an_exercise_is_failed_and_passed_and_the_instructor_sees_it(room, people):
    """All of it in browsers: cem in JupyterLab, ana on the page of the class."""
    cem, ana = people["cem"].tab, people["ana"].tab
    name, check = check_cell()
    notebook = nbformat.read(ROOT / "labs" / f"{LAB}.ipynb", as_version=4)
    right = next(solution for _, solution, asks in exercises(notebook.cells) if asks.id == check.id).source
    wrong, message = right.replace("bins - 1", "bins"), "raise an alarm, not 5 %"
    assert wrong != right

    ana.goto(f"{room.address}/services/where/")
    counted = ana.locator("tr", has=ana.get_by_role("cell", name=name, exact=True)).get_by_role("cell")

    def shows(*numbers):
        """ana's page, which renews itself, comes to show: not tried, open, was told, passed."""
        expect(counted).to_have_text([LAB, name, *numbers], timeout=90_000)

    cem.get_by_text("Raise your hand").wait_for()
    cem.locator(".jp-MarkdownViewer a", has_text="Lab 7.1").first.click()
    stub = cem.locator(".jp-CodeCell", has_text=f"def {name}(").first
    stub.scroll_into_view_if_needed()

    asks = cem.locator(".jp-CodeCell", has_text=f'with check("{name}"').first

    def answer(code):
        """Write `code` in the place of the stub, run it and then its check; return where that prints."""
        stub.locator(".cm-content").click()
        cem.keyboard.press("Control+a")
        cem.keyboard.insert_text(code)
        cem.keyboard.press("Shift+Enter")
        asks.locator(".cm-content").click()
        cem.keyboard.press("Shift+Enter")
        return asks.locator(".jp-OutputArea-output")

    stub.locator(".cm-content").click()
    cem.get_by_role("menuitem", name="Run", exact=True).click()
    cem.get_by_role("menuitem", name="Run All Above Selected Cell").click()
    expect(answer(wrong)).to_contain_text(f"✗ {name}: ", timeout=90_000)
    expect(asks.locator(".jp-OutputArea-output")).to_contain_text(message)
    shows("0", "0", re.compile(f"1 × .*{re.escape(message)}"), "0")
    expect(answer(right)).to_contain_text(f"✓ {name}: ", timeout=90_000)
    shows("0", "0", "", "1")
    assert "cem" not in ana.locator("body").inner_text()


def test_a_stranger_a_wrong_password_and_a_used_code_are_refused(room, people):
    used = "abcd-efgh-jkmn"
    for name, password, code in [
        ("ada", "wrong", ""),
        ("ada", "another one!", used),
        ("eve", PASSWORD, ""),
        ("root", "", ""),
    ]:
        visitor = Visitor(room, name)
        refused = visitor.log_in(password, code)
        visitor.session.close()
        assert refused.status_code == 403 and "Name, password or code is wrong." in refused.text


TRY = """
import glob, os, resource, socket, subprocess
def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
print("user", os.getuid(), os.environ["HOME"])
print("log", tried(lambda: open(f"/proc/{{os.getppid()}}/fd/1").read()))
groups = ["/sys/fs/cgroup/" + kind + "tally-class/" + {name!r} + "/cgroup.procs" for kind in ("memory/", "cpu/", "")]
print("group", [path for path in groups if os.access(path, os.R_OK)])
print("left", [room for room in ("/tmp/", "/var/tmp/", "/dev/shm/") if os.path.exists(room + {name!r} + "-was-here")])
print("groups", os.getgroups())
print("rooms", *[os.readlink(f"/proc/self/ns/{{kind}}") for kind in {kinds}])
print("services", os.listdir("/run"))
print("most", resource.getrlimit(resource.RLIMIT_NPROC)[1] <= 2000)
print("other", tried(lambda: open({other!r}).read()))
print("own", tried(lambda: open({own!r}).read()))
print("hub", tried(lambda: os.listdir({hub!r})))
print("processes", sorted({{int(p) for p in os.listdir("/proc") if p.isdigit()}})[-1] < 1000, tried(lambda: open("/proc/1/environ").read()))
print("names", glob.glob("/sys/fs/cgroup/**/tally-class/*", recursive=True))
print("proxy", tried(lambda: socket.create_connection(("127.0.0.1", {proxy}), 3)))
print("beyond", tried(lambda: socket.create_connection(("192.0.2.1", 80), 3)))
print("rights", *[line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewPrivs"))])
print("course", tried(lambda: open({course!r}, "a")))
server = socket.create_server(("127.0.0.1", {port}))
"""


def test_a_learner_sees_nothing_of_another_nor_of_the_hub(room, people):
    """What is denied to ada is there: root reads it, or bob does, in the same words."""
    hub, homes = room.folder / "hub", room.folder / "homes"
    settings = json.loads((hub / "class.json").read_text())
    kinds = ("ipc", "mnt", "net", "pid", "uts")
    answers, rooms = {}, [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds]
    for name in ("ada", "bob"):
        people[name].run("import pathlib; pathlib.Path('mine').write_text('of ' + pathlib.Path.home().name)")
        people[name].run(f"for room in '/tmp', '/dev/shm': pathlib.Path(room, '{name}-was-here').touch()")
    for name, other in {"ada": "bob", "bob": "ada"}.items():
        program = TRY.format(
            kinds=kinds, name=other, other=str(homes / other / "my-labs" / "mine"), own=str(homes / name / "my-labs" / "mine"), hub=str(hub),
            proxy=settings["ports"]["proxy"], course=str(ROOT / "labs" / "desk.py"), port=room.port,
        )  # fmt: skip
        answers[name] = dict(line.split(" ", 1) for line in people[name].run(program).splitlines())
        assert (homes / other / "my-labs" / "mine").read_text() == f"of {other}"
        rooms += answers[name]["rooms"].split()
        assert answers[name] | {"user": "", "rooms": ""} == {
            "user": "",
            "rooms": "",
            "left": "[]",
            "groups": "[]",
            "log": "PermissionError",  # the hub's, which what it starts writes to
            "group": "[]",
            "services": "[]",
            "most": "True",
            "other": "FileNotFoundError",
            "own": f"of {name}",
            "hub": "FileNotFoundError",
            "processes": "True PermissionError",
            "names": "[]",
            "proxy": "ConnectionRefusedError",
            "beyond": "OSError",  # the network is unreachable
            "rights": "0000000000000000 1",
            "course": "PermissionError",
        }, "and both listen at the same port, each at their own"
    assert answers["ada"]["user"] != answers["bob"]["user"]
    assert len(set(rooms)) == 3 * len(kinds), "hers, his and the machine's"
    groups = {path.name for path in Path("/sys/fs/cgroup").glob("**/tally-class/*")}
    assert {"ada", "bob"} <= groups or Path("/run/systemd/system").exists(), "and root sees them"
    socket.create_connection(("127.0.0.1", settings["ports"]["proxy"]), 3).close()
    for secret in (
        "cookie_secret",
        "jupyterhub.sqlite",
        "roll.json",
        "class.json",
        "where.secret",
        "tls/127.0.0.1.key",
    ):
        assert (hub / secret).stat().st_mode & 0o077 == 0 and hub.stat().st_mode & 0o777 == 0o700
    assert people["bob"].get("/user/ada/api/contents").status_code in (403, 404)
    assert "of ada" not in people["bob"].get("/user/ada/files/my-labs/mine").text


def test_memory_is_limited_for_each(room, people):
    program = "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'len(bytearray({}))']).returncode)"
    limit = json.loads((room.folder / "hub" / "class.json").read_text())["booth"]["memory"]
    assert people["ada"].run(program.format(limit // 10)).strip() == "0"
    assert people["ada"].run(program.format(2 * limit)).strip() == "-9"
    share = [
        *Path("/sys/fs/cgroup").glob("cpu/tally-class/ada/cpu.cfs_quota_us"),
        *Path("/sys/fs/cgroup").glob("tally-class/ada/cpu.max"),
    ]
    quota = 100_000 * min(2, os.cpu_count())
    assert [int(path.read_text().split()[0]) for path in share] == [quota] or Path(
        "/run/systemd/system"
    ).exists()


def test_a_learner_finds_the_labs_and_their_data(room, people):
    files = people["ada"].run("import os; print(*sorted(os.listdir()))").split()
    assert {f"{LAB}.ipynb", "desk.py", "start.md", "hand-in"} <= set(files)
    assert "Raise your hand" in (room.folder / "homes" / "ada" / "my-labs" / "start.md").read_text()
    ran = people["ada"].run(
        "import hermetic; hermetic.seal(); import pandas; print(len(pandas.read_parquet('../data/applications.parquet')))"
    )
    assert int(ran) > 90_000
    fonts = "import os; print(os.access(os.environ['MPLCONFIGDIR'], os.W_OK), len(os.listdir(os.environ['MPLCONFIGDIR'])) > 0)"
    assert people["ada"].run(fonts) == "True True\n", (
        "else Matplotlib looks for all fonts anew, and says so in the lab"
    )
    assert people["ada"].get("/user/ada/", allow_redirects=True).url.endswith("/lab/tree/my-labs/start.md")


def test_what_a_learner_hands_in_is_copied(room, people):
    people["bob"].run("open('hand-in/mine.txt', 'w').write('look at this')")
    kept = room.folder / "handed-in" / "bob" / "mine.txt"
    until(kept.exists, 15)
    assert kept.read_text() == "look at this" and "Handed in: bob/mine.txt" in until(room.printed, 1)
    assert not (room.folder / "handed-in" / "ada").exists(), "only who asks"


def test_the_class_is_seen_in_numbers_by_who_teaches_and_by_consent(room, people):
    name, check = check_cell()
    ada, bob, ana = (people[name] for name in ("ada", "bob", "ana"))
    asks = f"with check('{name}') as shown:\n    assert {name}() > 1, 'more than one'\n    shown('it is')"

    def tries(learner, answer):
        learner.run(f"from desk import check\ndef {name}():\n    {answer}")
        return learner.run(asks, cell=check.id)

    def row():
        """Not tried, open, was told, passed; cem has passed already."""
        shown = re.search(f"<td>{name}</td>(.*?)</tr>", ana.get("/services/where/").text)
        return shown and re.findall("<td>(.*?)</td>", shown[1])

    for learner in (ada, bob):
        assert "more than one" in tries(learner, "return 0")
        assert "CLASS" not in learner.run(
            "import os; print([name for name in os.environ if 'CLASS' in name])"
        )
    message = whereabouts.messages(check.source)[0]
    until(lambda: row() == ["0", "0", f"1 × {html.escape(message)}", "1"], 10)
    assert "open" in tries(ada, "raise NotImplementedError")
    until(lambda: row() == ["0", "1", "", "1"], 10)
    assert "it is" in tries(ada, "return 2")
    until(lambda: row() == ["0", "0", "", "2"], 10)

    def seen():
        return ana.get("/services/where/").text

    assert "2 of the class are counted" in seen(), "bob agreed to nothing"
    assert not re.search("ada|bob|cem", seen()) and "<strong>none</strong>" in seen()
    mine = ada.get("/services/where/").text
    assert "are counted" not in mine, "a learner doesn't see the class"
    hidden = re.search(r'name="_xsrf" value="([^"]*)"', mine)[1]

    def press(do, xsrf=hidden):
        return ada.session.post(
            room.address + "/services/where/", data={"do": do, "_xsrf": xsrf}, timeout=30
        ).status_code

    assert press("raise") == 200 and "<strong>ada</strong>" in seen()
    assert press("lower", xsrf="forged") == 403 and "<strong>ada</strong>" in seen()
    assert (
        press("withdraw") == 200
        and "1 of the class are counted" in seen()
        and "<strong>none</strong>" in seen()
    )


def test_a_link_is_no_consent(room, people):
    ana = people["ana"]
    ana.get("/hub/spawn/ana?consent=yes")
    ana.enter()
    assert ana.run("import sys; print('reporter' in sys.argv[0])") == "False\n"
    assert "reporter" in people["ada"].run("import sys; print(sys.argv[0])"), "who ticked the box"


def test_a_learner_keeps_nobody_out(room, people):
    """bob guesses at ada's password from his laptop, and ada comes in from hers."""
    bob, ada = Visitor(room, "ada"), Visitor(room, "ada")
    try:
        bob.session.mount("https://", From("127.0.0.2"))
        refused = [bob.log_in("a wrong guess").text for _ in range(6)]
        assert "wait a minute" in refused[-1] and "wait a minute" not in refused[-2]
        assert ada.log_in().status_code == 302
    finally:
        bob.session.close()
        ada.session.close()


def test_a_forged_report_is_refused(room, people):
    _, check = check_cell()
    right = token_for(room.folder / "hub", "bob")

    def report(token, **content):
        return requests.post(
            room.address + "/services/where/report", headers={"Authorization": f"token {token}"},
            json={"lab": LAB, "cell": check.id, "outcome": 1} | content, verify=str(room.cert), timeout=30,
        ).status_code  # fmt: skip

    assert report(right.replace("bob", "ada")) == report("") == report("eve:00") == 403
    assert report(right, outcome=99) == report(right, code="x") == 400
    assert report(right) == 204


def test_a_killed_hub_loses_nothing(room, people):
    ada = people["ada"]
    ada.run("kept = 42")
    opened = room.printed().count("The class is open")
    hub = room.hub()
    booths = {
        process.pid
        for process in room.processes()
        if any("booth.py" in word for word in process.info["cmdline"])
    }
    hub.kill()
    room.wait(opened + 1)
    assert room.hub().pid != hub.pid
    assert ada.run("print(kept)") == "42\n", "the same kernel, by the same cookie"
    assert ada.get("/hub/home", allow_redirects=False).status_code == 200
    assert {process.pid for process in room.processes()} >= booths
    assert ada.get("/services/where/").status_code == 200


def test_who_comes_back_finds_the_new_edition_and_is_stopped_when_idle(room, people, browser):
    """The same class, opened once more and impatient; bob has worked in a lab of which there is a newer edition now."""
    opened = room.printed().count("The class is open")
    room.stop()
    path = room.folder / "homes" / "bob" / "my-labs" / f"{LAB}.ipynb"
    mine = nbformat.read(path, as_version=4)
    mine.metadata.course["edition"] = "of last week"
    mine.cells[0].source += "\nmy own words"
    nbformat.write(mine, path)
    room.command += ["--idle", "40"]
    room.start(opened + 1)
    bob = Visitor(room, "bob")
    bob.sit_down(browser, consent=False)  # the password holds, without a code
    bob.settle("**/user/bob/lab/**")
    bob.tab.get_by_role("link", name=f"{LAB}.new.ipynb").wait_for()
    assert bob.tab.get_by_text("Yours is kept as it is").count()
    assert "my own words" in path.read_text() and path.with_suffix(".new.ipynb").exists()
    bob.run("open('of-today', 'w').write('kept')")
    bob.tab.close()
    until(
        lambda: not [p for p in room.processes() if "jupyterhub-singleuser" in " ".join(p.info["cmdline"])],
        120,
    )
    assert "/hub/" in bob.get("/user/bob/lab").url
    assert (room.folder / "homes" / "bob" / "my-labs" / "of-today").read_text() == "kept"
    bob.leave()


def test_a_class_that_stops_leaves_nothing_running_and_nobody_s_traces(room, people):
    """The last test, after which another class could begin."""
    twice = subprocess.run(room.command, capture_output=True, text=True, timeout=60)
    assert twice.returncode == 1 and twice.stderr.strip() == "This class is open already."
    room.stop()
    assert room.process.returncode == 0, room.printed()
    assert room.processes() == []
    assert (
        not list((room.folder / "hub").glob("where*")) and not (room.folder.parent / "timings.yml").exists()
    )
    assert "Who was where is erased." in room.printed()
    assert (room.folder / "homes" / "ada" / "my-labs" / "mine").read_text() == "of ada"
    assert not [
        path for path in Path("/sys/fs/cgroup").glob("*/tally-class/*") if path.name in ("ada", "bob")
    ]

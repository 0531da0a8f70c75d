"""The service, its image and what Kubernetes is asked for."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from datetime import datetime
from importlib import metadata
from pathlib import Path

import httpx
import kubernetes_validate
import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from conftest import ROOT
from prometheus_client.parser import text_string_to_metric_families
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tally import service
from tally.contract import CONTRACT
from tally.decision import CUTOFF
from tally.decision_log import read

with warnings.catch_warnings():  # it would rather have httpx2
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

TALLY = ROOT / "tally"
BIN = Path(sys.executable).parent


# The service

HISTORY = {
    "computed_at": "2025-03-24T03:10:00+00:00",
    "tenure_days": 200,
    "purchases_180d": 3,
    "late_180d": 0,
    "open_balance": 80,
    "utilisation": 0.3,
}
GOOD = {
    "application_id": 33021,
    "channel": "till",
    "merchant_category": "toys",
    "basket": 120,
    "income": 31_000,
    "history": HISTORY,
}
READ = "basket income tenure_days purchases_180d late_180d open_balance utilisation".split()
TRAINED_AT = "2025-03-03T04:00:00+00:00"


@pytest.fixture(scope="module")
def model():
    rows = pd.read_parquet(ROOT / "data" / "applications.parquet")[:4_000]
    return HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(rows[READ], rows.repaid)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "champion.skops"
    skops.io.dump(model, path)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def client(saved, monkeypatch):
    """Starts the service with a release, waits until its loading has ended, and gives a client."""
    opened = []

    def start(path=saved, sha256=None, cutoff="0.8"):
        for name, value in {
            "MODEL_PATH": path,
            "MODEL_SHA256": sha256 or digest(saved),
            "MODEL_TRAINED_AT": TRAINED_AT,
            "CUTOFF": cutoff,
        }.items():
            monkeypatch.setenv(name, str(value))
        opened.append(TestClient(service.app).__enter__())
        service.app.state.loading.exception()  # waits
        return opened[-1]

    yield start
    for one in opened:
        one.__exit__(None, None, None)


class Slow:
    """A model that decides when it is told to."""

    def __init__(self):
        self.go, self.calls = threading.Event(), 0

    def result(self):
        return self

    def done(self):
        return True

    def cancelled(self):
        return False

    def exception(self):
        return None

    def predict_proba(self, rows):
        self.calls += 1
        self.go.wait(10)
        return np.array([[0.1, 0.9]])


def test_a_good_request_is_decided_as_the_model_decides_in_training(client, model):
    said = client().post("/decide", json=GOOD).json()
    repaid = model.predict_proba(pd.DataFrame([GOOD | HISTORY])[READ])[0, 1]
    assert said["score"] == repaid and said["outcome"] == ("approved" if repaid >= CUTOFF else "declined")
    assert said["source"] == "model" and said["reason"] is None


def test_the_cutoff_is_the_releases(client):
    assert client(cutoff="1.0").post("/decide", json=GOOD).json()["outcome"] == "declined"
    assert client(cutoff="0.0").post("/decide", json=GOOD).json()["outcome"] == "approved"


def test_exactly_at_the_cutoff_is_approved_by_the_service_and_in_its_log(client, capsys):
    started, exact = client(cutoff=str(CUTOFF)), Slow()
    exact.predict_proba = lambda rows: np.array([[1 - CUTOFF, CUTOFF]])
    service.app.state.loading = exact
    said = started.post("/decide", json=GOOD).json()
    [logged] = read(capsys.readouterr().out.splitlines())
    assert said["score"] == logged.score == logged.cutoff == CUTOFF == 0.8
    assert said["outcome"] == logged.outcome == "approved"


def decisions(text):
    """{(source, outcome): count} of an exposition, where it is not zero."""
    found = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "tally_decisions_total" and sample.value:
                found[sample.labels["source"], sample.labels["outcome"]] += sample.value
    return found


def test_answer_log_and_metrics_tell_the_same_of_each_decision(client, capsys):
    started = client()
    asked = [
        GOOD,
        GOOD | {"basket": 4_000},
        GOOD | {"history": None, "basket": 100},
        GOOD | {"history": None, "basket": 101},
    ]
    said = [started.post("/decide", json=one).json() for one in asked]
    logged = list(read(capsys.readouterr().out.splitlines()))
    told = [{name: getattr(one, name) for name in service.Answer.model_fields} for one in logged]
    assert told == said
    assert decisions(started.get("/metrics").text) == Counter((one.source, one.outcome) for one in logged)
    assert [(one.reason, one.outcome) for one in logged[2:]] == [
        ("no history", "approved"),
        ("no history", "declined"),
    ]


def test_the_alerts_read_only_what_the_service_exports(client):
    started = client()
    started.post("/decide", json=GOOD)
    text = started.get("/metrics").text
    exported = {sample.name: sample for one in text_string_to_metric_families(text) for sample in one.samples}
    rules = (TALLY / "alerts.yml").read_text()
    named = set(re.findall(r"(?<![\w:])tally_\w+", rules))
    assert named <= set(exported) and len(named) == 5
    for name, value in re.findall(r'(\w+)="(\w+)"', rules):
        assert f'{name}="{value}"' in text, "a value that no series has"
    trained = exported["tally_model_trained_timestamp_seconds"].value
    assert trained == datetime.fromisoformat(TRAINED_AT).timestamp()
    known = exported["tally_features_timestamp_seconds"].value
    assert known == datetime.fromisoformat(HISTORY["computed_at"]).timestamp()


def test_the_service_accepts_what_the_contract_promises(applications):
    promised = {
        name: check.statistics
        for name, column in CONTRACT.columns.items()
        for check in column.checks
        if check.name == "in_range"
    }
    taken = {**service.Application.model_fields, **service.History.model_fields}
    bounds = {
        name: {"min_value": taken[name].metadata[0].ge, "max_value": taken[name].metadata[1].le}
        for name in READ
    }
    for name in READ:
        assert bounds[name].items() <= promised[name].items(), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"basket": -1},
        {"basket": "12,50"},
        {"basket": None},
        {"history": HISTORY | {"utilisation": 1.2}},
        {"history": HISTORY | {"computed_at": "2025-03-24T03:10:00"}},  # of which clock?
        {"channel": "fax"},
        {"income": 1e9},
        {"age_group": "61+"},  # what the model must not see is not taken either
    ],
)
def test_a_malformed_request_is_refused_and_says_where(client, wrong):
    said = client().post("/decide", json=GOOD | wrong)
    assert said.status_code == 422 and next(iter(wrong)) in said.text


def test_a_missing_field_is_refused(client):
    assert client().post("/decide", json={"basket": 10}).status_code == 422


def test_without_its_file_it_lives_is_not_ready_and_decides_by_the_fallback(client, tmp_path):
    started = client(path=tmp_path / "nothing.skops")
    assert started.get("/health/live").status_code == 200
    assert started.get("/health/ready").status_code == 503
    small = started.post("/decide", json=GOOD).json()
    large = started.post("/decide", json=GOOD | {"basket": 501}).json()
    late = started.post("/decide", json=GOOD | {"history": HISTORY | {"late_180d": 1}}).json()
    assert [one["outcome"] for one in (small, large, late)] == ["approved", "declined", "declined"]
    assert small["source"] == "fallback" and small["reason"] == "no model" and small["score"] is None


def test_another_file_than_the_releases_is_not_loaded(client, saved, tmp_path):
    other = tmp_path / "other.skops"
    other.write_bytes(saved.read_bytes() + b"\0")
    assert client(path=other).get("/health/ready").status_code == 503
    assert "digest" in str(service.app.state.loading.exception())


def test_a_type_that_nobody_has_read_is_not_loaded_though_the_digest_is_right(client, model, tmp_path):
    path = tmp_path / "strange.skops"
    skops.io.dump(make_pipeline(FunctionTransformer(os.path.exists), model), path)
    assert client(path=path, sha256=digest(path)).get("/health/ready").status_code == 503
    assert "nobody has read" in str(service.app.state.loading.exception())


def test_a_pickle_is_not_opened(client, model, tmp_path):
    import pickle

    path = tmp_path / "champion.pkl"
    path.write_bytes(pickle.dumps(model))
    assert client(path=path, sha256=digest(path)).get("/health/ready").status_code == 503


def test_a_slow_model_is_overtaken_by_the_fallback_and_those_who_left_cost_nothing(client, monkeypatch):
    monkeypatch.setattr(service, "BUDGET", 2)  # time enough to ask, also on a busy machine
    started, slow = client(), Slow()
    service.app.state.loading = slow
    answers = []

    def ask():
        answers.append(started.post("/decide", json=GOOD).json())

    till = [threading.Thread(target=ask) for _ in range(service.PLACES + 3)]
    for one in till:
        one.start()
    for one in till:
        one.join(10)
    assert {one["source"] for one in answers} == {"fallback"}
    assert sorted(one["reason"] for one in answers) == ["full"] * 3 + ["too late"] * service.PLACES
    assert started.get("/health/ready").status_code == 200, "slow is no reason to send all tills elsewhere"
    slow.go.set()
    deadline = time.monotonic() + 10
    while started.post("/decide", json=GOOD).json()["source"] != "model":
        assert time.monotonic() < deadline, "its places are free again"
    assert slow.calls <= 1 + 3, "the four that waited were cancelled, not worked off"


def test_a_model_that_fails_is_replaced_by_the_fallback(client):
    started, broken = client(), Slow()
    broken.predict_proba = lambda rows: 1 / 0
    service.app.state.loading = broken
    assert started.post("/decide", json=GOOD).json()["reason"] == "failed"


def test_sixty_four_together_cost_far_less_than_one_by_one(model):
    rows = pd.DataFrame([GOOD | HISTORY] * 64)[READ]

    def seconds(batches):
        begin = time.perf_counter()
        for batch in batches:
            model.predict_proba(batch)
        return time.perf_counter() - begin

    apart, together = [rows[i : i + 1] for i in range(64)], [rows]
    model.predict_proba(rows)
    assert min(seconds(together) for _ in range(5)) < 0.25 * min(seconds(apart) for _ in range(3))


TRACER = """
import json, sys
import warnings
warnings.simplefilter("ignore")
from fastapi.testclient import TestClient
from tally import service
service.BUDGET = 30  # also on a busy machine
with TestClient(service.app) as client:
    service.app.state.loading.exception()
    client.get("/health/ready")
    for asked in json.loads(sys.argv[1]):
        client.post("/decide", json=asked, headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
"""


@pytest.mark.parametrize("recorded", [True, False])
def test_a_trace_is_continued_and_holds_queue_and_prediction_or_nothing_is_recorded(
    saved, tmp_path, recorded
):
    release = {
        "MODEL_PATH": saved,
        "MODEL_SHA256": digest(saved),
        "MODEL_TRAINED_AT": TRAINED_AT,
        "CUTOFF": CUTOFF,
    }
    if recorded:
        release["TRACES"] = tmp_path / "traces"
    env = os.environ | {name: str(value) for name, value in release.items()}
    asked = json.dumps([GOOD, GOOD | {"history": None}])
    subprocess.run([sys.executable, "-c", TRACER, asked], env=env, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "traces").exists() == recorded
    if not recorded:
        return
    spans = [json.loads(line) for line in (tmp_path / "traces").read_text().splitlines()]
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    assert [(span["name"], names.get(span["parent_id"], span["parent_id"])) for span in spans] == [
        ("predict", "ask the model"),
        ("ask the model", "POST /decide"),
        ("POST /decide", "0x" + "b" * 16),
        ("POST /decide", "0x" + "b" * 16),
    ]
    assert {span["context"]["trace_id"] for span in spans} == {"0x" + "a" * 32}


# The image


def lint(path):
    done = subprocess.run([BIN / "hadolint", "-f", "json", path], capture_output=True, text=True)
    return done.returncode, {fault["code"] for fault in json.loads(done.stdout)}


def test_the_dockerfile_has_no_fault_that_the_linter_knows():
    assert lint(TALLY / "Containerfile") == (0, set())


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("python:3.11.14-slim-bookworm AS", "python AS", "DL3006"),
        ("python:3.11.14-slim-bookworm AS", "python:latest AS", "DL3007"),
        ("USER 10001", "USER root", "DL3002"),
        ("--no-cache-dir ", "", "DL3042"),
        (
            'CMD ["uvicorn", "tally.service:app", "--host", "0.0.0.0", "--port", "8080", "--no-access-log"]',
            "CMD uvicorn tally.service:app",
            "DL3025",
        ),
        ("COPY __init__.py", "ADD __init__.py", "DL3020"),
    ],
)
def test_a_spoiled_dockerfile_is_found(tmp_path, old, new, rule):
    text = (TALLY / "Containerfile").read_text()
    assert old in text
    spoiled = tmp_path / "Containerfile"
    spoiled.write_text(text.replace(old, new))
    code, rules = lint(spoiled)
    assert code == 1 and rule in rules


FOUND = set("DL3003 DL3004 DL3007 DL3008 DL3009 DL3013 DL3015 DL3020 DL3025 DL3042 DL3047 DL3064".split())


def test_the_linter_finds_what_is_to_repair_but_not_what_is_done_to_whom(tmp_path):
    code, rules = lint(ROOT / "chapters/artefacts/Containerfile.to_repair")
    assert code == 1 and rules == FOUND
    rest = tmp_path / "Containerfile"  # root, all of the folder, a pickle that nobody has checked
    rest.write_text(
        "FROM python:3.11.14-slim-bookworm\nWORKDIR /app\nCOPY . .\n"
        'RUN wget -q https://models.tally.example/champion.pkl\nCMD ["uvicorn", "service:app"]\n'
    )
    assert "USER" not in (ROOT / "chapters/artefacts/Containerfile.to_repair").read_text()
    assert lint(rest) == (0, set())


def test_the_image_installs_what_the_model_was_trained_with():
    lines = (TALLY / "requirements.in").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {name: metadata.version(name) for name in pins} == pins


# What Kubernetes is asked for


def is_valid(text, strict):
    """Whether Kubernetes would take each part of the manifest `text`; `strict` refuses fields that it does not know."""
    try:
        for part in yaml.safe_load_all(text):
            kubernetes_validate.validate(part, kubernetes_validate.latest_version(), strict)
    except kubernetes_validate.ValidationError:
        return False
    return True


def asked():
    return {one["kind"]: one for one in yaml.safe_load_all((TALLY / "deployment.yaml").read_text())}


def container():
    (one,) = asked()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return one


def test_the_manifest_is_valid():
    assert is_valid((TALLY / "deployment.yaml").read_text(), strict=True)


@pytest.mark.parametrize(
    ("old", "new", "strict_only"),
    [
        (
            "  selector:\n    matchLabels: {app: decide}\n  strategy",
            "  replicaz: 4\n  selector:\n    matchLabels: {app: decide}\n  strategy",
            True,
        ),
        ("readOnlyRootFilesystem", "readOnlyRootFileSystem", True),
        ("minReplicas", "minReplica", True),
        ("maxReplicas", "maxReplica", False),
        ("runAsUser: 10001", "runAsUser: tally", False),
    ],
)
def test_a_misspelt_manifest_is_refused(old, new, strict_only):
    text = (TALLY / "deployment.yaml").read_text()
    assert old in text
    spoiled = text.replace(old, new)
    assert not is_valid(spoiled, strict=True)
    assert is_valid(spoiled, strict=False) == strict_only, "only a strict look sees a misspelt wish"


def test_probes_ports_and_routes_agree():
    routes = set(service.app.openapi()["paths"])
    (port,) = container()["ports"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container()[name]["httpGet"]
        assert probe["path"] in routes and probe["port"] == port["name"]
    asks = {name: container()[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe")}
    assert set(asks.values()) == {"/health/live"}, "a model that is not the release's is no reason to restart"
    assert container()["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert asked()["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    (ingress,) = asked()["NetworkPolicy"]["spec"]["ingress"]
    assert ingress["ports"][0]["port"] == port["name"]
    admitted = {
        one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in ingress["from"]
    }
    assert admitted == {"gateway", "monitoring"} and "/metrics" in routes
    text = (TALLY / "Containerfile").read_text()
    assert f"EXPOSE {port['containerPort']}\n" in text and f'"--port", "{port["containerPort"]}"' in text
    (checked,) = re.findall(r"127\.0\.0\.1:(\d+)(/[\w/]+)", text)
    assert int(checked[0]) == port["containerPort"] and checked[1] in routes


def test_everything_speaks_of_the_same_pods_and_the_autoscaler_owns_their_number():
    labels = asked()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert asked()["Service"]["spec"]["selector"] == labels
    for kind, name in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        assert asked()[kind]["spec"][name]["matchLabels"] == labels
    assert (
        asked()["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
        == asked()["Deployment"]["metadata"]["name"]
    )
    assert "replicas" not in asked()["Deployment"]["spec"]


def test_what_the_pod_names_is_in_the_file():
    pod = asked()["Deployment"]["spec"]["template"]["spec"]
    (claim,) = [
        one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one
    ]
    assert asked()["PersistentVolumeClaim"]["metadata"]["name"] == claim
    assert asked()["ServiceAccount"]["metadata"]["name"] == pod["serviceAccountName"]


def test_the_user_of_the_image_is_the_user_of_the_pod_and_may_do_little():
    text = (TALLY / "Containerfile").read_text()
    pod = asked()["Deployment"]["spec"]["template"]["spec"]
    assert re.findall(r"^USER (\d+)$", text, re.M) == [str(pod["securityContext"]["runAsUser"])]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    may = container()["securityContext"]
    assert may["readOnlyRootFilesystem"] and not may["allowPrivilegeEscalation"]
    assert may["capabilities"] == {"drop": ["ALL"]}
    assert asked()["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in asked()["NetworkPolicy"]["spec"]
    assert re.fullmatch(r"[\w./-]+@sha256:[0-9a-f]{64}", container()["image"])


def test_the_environment_of_the_pod_is_what_the_service_reads():
    given = {one["name"]: one["value"] for one in container()["env"]}
    read = set(re.findall(r'os\.environ\["(\w+)"\]', (TALLY / "service.py").read_text()))
    assert set(given) == read and float(given["CUTOFF"]) == CUTOFF
    assert datetime.fromisoformat(given["MODEL_TRAINED_AT"]).tzinfo
    mounts = {one["mountPath"] for one in container()["volumeMounts"]}
    assert str(Path(given["MODEL_PATH"]).parent) in mounts


def test_the_command_of_the_image_starts_and_stays_within_the_memory_asked_for(saved, tmp_path):
    """With the files alone that the image copies."""
    text = (TALLY / "Containerfile").read_text()
    (copied,) = re.findall(r"^COPY (__init__.+) /app/tally/$", text, re.M)
    package = tmp_path / "app" / "tally"
    package.mkdir(parents=True)
    for name in copied.split():
        shutil.copy(TALLY / name, package)
    (command,) = re.findall(r"^CMD (\[.+\])$", text, re.M)
    command = json.loads(command)
    command[command.index("--port") + 1] = "0"
    release = {
        "MODEL_PATH": saved,
        "MODEL_SHA256": digest(saved),
        "MODEL_TRAINED_AT": TRAINED_AT,
        "CUTOFF": CUTOFF,
    }
    env = (
        os.environ | {name: str(value) for name, value in release.items()} | {"PYTHONDONTWRITEBYTECODE": "1"}
    )
    said, log = tmp_path / "said", tmp_path / "log"
    with said.open("w") as stdout, log.open("w") as stderr:
        running = subprocess.Popen(
            [BIN / command[0], *command[1:]], cwd=package.parent, env=env, stdout=stdout, stderr=stderr
        )
    try:
        deadline = time.monotonic() + 60
        while not (port := re.search(r"running on http://0\.0\.0\.0:(\d+)", log.read_text())):
            assert running.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=30) as client:
            while client.get("/health/ready").status_code != 200:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            answers = [client.post("/decide", json=GOOD | {"application_id": n}).json() for n in range(3)]
            counted = decisions(client.get("/metrics").text)
        logged = list(read(said.read_text().splitlines()))
        assert [one.application_id for one in logged] == [0, 1, 2], (
            "standard output is the log and nothing else"
        )
        assert [one["source"] for one in answers] == [one.source for one in logged]
        assert counted == Counter((one.source, one.outcome) for one in logged)
        status = Path(f"/proc/{running.pid}/status")
        if not status.exists():
            pytest.skip("memory is read from /proc")
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    finally:
        running.terminate()
        running.wait(30)
    resources = container()["resources"]
    request, limit = (int(resources[one]["memory"].removesuffix("Mi")) for one in ("requests", "limits"))
    assert peak < request < limit, f"{peak:.0f} MiB at its peak"

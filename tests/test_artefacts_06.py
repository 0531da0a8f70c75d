"""Chapter 6: the queue, the service, its image and what Kubernetes is asked for."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shortcuts
import skops.io
import waiting
import yaml
from conftest import ROOT
from serving import service
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

with warnings.catch_warnings():  # it would rather have httpx2
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

SERVING = ROOT / "chapters" / "artefacts" / "serving"
BIN = Path(sys.executable).parent


# The queue


def test_one_worker_serves_in_order_as_one_reckons_by_hand():
    answered = waiting.serve(np.array([0.0, 1.0, 5.0]), np.array([3.0, 1.0, 1.0]), 1)
    assert answered.tolist() == [3, 3, 1]
    assert waiting.serve(np.array([0.0, 1.0]), np.array([3.0, 1.0]), 2).tolist() == [3, 1]


def test_who_would_wait_too_long_costs_no_work():
    answered = waiting.serve(np.array([0.0, 1.0, 3.5]), np.array([3.0, 1.0, 1.0]), 1, wait=1)
    assert answered.tolist() == [3, np.inf, 1]


def test_two_choices_never_pass_over_an_idle_worker_that_was_drawn():
    rng = np.random.default_rng(0)
    arrivals, work = waiting.poisson(8, 20_000, rng), rng.exponential(0.2, 20_000)
    one, two = (waiting.scatter(arrivals, work, 2, choices, rng).mean() for choices in (1, 8))
    pooled = waiting.serve(arrivals, work, 2).mean()
    assert one > 1.7 * pooled and two == pytest.approx(pooled, rel=0.02)


def test_a_batch_costs_the_fixed_part_once():
    answered = waiting.batched(np.array([0.0, 0.0, 0.0]), most=2, fixed=1, each=0.5)
    assert answered.tolist() == [2, 2, 3.5]
    held = waiting.batched(np.array([0.0, 0.1, 9.0]), most=2, hold=4, fixed=1, each=0.5)
    assert held.tolist() == pytest.approx([2.1, 2.0, 5.5])


def test_erlang_c_is_the_utilisation_for_one_worker_and_refuses_too_much():
    assert waiting.erlang_c(0.7, 1) == pytest.approx(0.7)
    assert waiting.erlang_c(1.0, 2) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="steady"):
        waiting.erlang_c(2, 2)


def test_the_formulas_object_to_a_queue_that_is_served_wrongly(monkeypatch):
    serve = waiting.serve
    monkeypatch.setattr(waiting, "serve", lambda arrivals, work, workers: serve(arrivals, work, workers - 1))
    with pytest.raises(AssertionError, match="Erlang"):
        waiting.steady(0.6, 4, np.random.default_rng(0), n=50_000)


def test_the_autoscaler_grows_after_its_cold_start_and_shrinks_when_it_is_calm():
    rng = np.random.default_rng(0)
    arrivals = np.concatenate([waiting.poisson(20, 24_000, rng), 1_300 + waiting.poisson(1, 1_000, rng)])
    work = rng.exponential(0.2, len(arrivals))
    answered, hours, steps = waiting.autoscaled(arrivals, work, 2, 0.7, 60)
    counts = [count for _, count, _ in steps]
    assert counts[0] == 2 and max(counts) >= 5 and counts[-1] == 2
    assert hours == pytest.approx(sum(counts) * 15 / 3_600)
    assert waiting.p99(answered[(arrivals > 900) & (arrivals < 1_200)]) < 3 < answered[arrivals < 75].max()


def test_a_day_without_applications_is_an_error_that_names_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError, match="2031-01-01"):
        waiting.day("2031-01-01", np.random.default_rng(0))


def test_the_rule_and_its_price_are_what_one_reckons_by_hand():
    rows = pd.DataFrame({"basket": [40.0, 60.0, 30.0], "late_180d": [0, 0, 1], "repaid": [True, False, True]})
    approved = shortcuts.rule(rows, 50)
    assert approved.tolist() == [True, False, False]
    assert shortcuts.earned(rows, approved) == pytest.approx(4 / 3 * 1_000)
    assert shortcuts.earned(rows, rows.basket > 50) == pytest.approx(-24 / 3 * 1_000)


CASES = [(500, 0), (501, 0), (20, 1)]


def test_the_service_decides_by_the_rule_that_was_priced():
    assert service.RULE_LIMIT == shortcuts.LIMIT
    both = [
        service.by_rule(service.Application(**GOOD | {"basket": b, "late_180d": late}), "").approved
        for b, late in CASES
    ]
    rows = pd.DataFrame(CASES, columns=["basket", "late_180d"])
    assert both == shortcuts.rule(rows, shortcuts.LIMIT).tolist()


def test_what_the_chapter_says_in_words_is_what_was_computed():
    found = json.loads((ROOT / "chapters/artefacts/waiting.json").read_text())
    inside = found["rush_rate"] * found["own_mean"]
    assert round(1 / found["own_late"]) == 18, "one till in eighteen"
    assert round(found["rush_rate"]) == round(inside) == 16 and inside - 4 * found["rush_busy"] > 12
    served = 1 - found["dead_shed_180"] / (found["rush_rate"] * 180)
    assert served == pytest.approx(2 / 3, abs=0.05), "two thirds get a good answer"
    assert found["flat_pods"] == 7 and found["scaled_hours"] < found["flat_hours"] / 2, "halved"
    assert found["saturday_when_420"] < 3, "near two in the morning"
    held = [found[f"held_p99_{rate}"] / found[f"greedy_p99_{rate}"] for rate in (1, 4, 10)]
    assert min(held) > 1, "holding was worse at all three rates"
    assert found["own_late_6"] > found["two_late"] > found["one_late"]


# The service

GOOD = {
    "basket": 120,
    "income": 31_000,
    "tenure_days": 200,
    "purchases_180d": 3,
    "late_180d": 0,
    "open_balance": 80,
    "utilisation": 0.3,
}


@pytest.fixture(scope="module")
def model():
    rows = pd.read_parquet(ROOT / "data" / "applications.parquet")[:4_000]
    return HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(rows[list(GOOD)], rows.repaid)


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
    repaid = model.predict_proba(pd.DataFrame([GOOD]))[0, 1]
    assert said["approved"] == (repaid >= 0.8) and said["decided_by"] == "model" and said["because"] is None


def test_the_cutoff_is_the_releases(client):
    assert not client(cutoff="1.0").post("/decide", json=GOOD).json()["approved"]
    assert client(cutoff="0.0").post("/decide", json=GOOD).json()["approved"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"basket": -1},
        {"basket": "12,50"},
        {"basket": None},
        {"utilisation": 1.2},
        {"income": 1e9},
        {"age_group": "61+"},  # what the model must not see is not taken either
    ],
)
def test_a_malformed_request_is_refused_and_says_where(client, wrong):
    said = client().post("/decide", json=GOOD | wrong)
    assert said.status_code == 422 and next(iter(wrong)) in said.text


def test_a_missing_field_is_refused(client):
    assert client().post("/decide", json={"basket": 10}).status_code == 422


def test_without_its_file_it_lives_is_not_ready_and_decides_by_the_rule(client, tmp_path):
    started = client(path=tmp_path / "nothing.skops")
    assert started.get("/health/live").status_code == 200
    assert started.get("/health/ready").status_code == 503
    small = started.post("/decide", json=GOOD).json()
    large = started.post("/decide", json=GOOD | {"basket": 501}).json()
    late = started.post("/decide", json=GOOD | {"late_180d": 1}).json()
    assert (small["approved"], large["approved"], late["approved"]) == (True, False, False)
    assert small["decided_by"] == "rule" and small["because"] == "no model" and small["model"] is None


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


def test_a_slow_model_is_overtaken_by_the_rule_and_those_who_left_cost_nothing(client, monkeypatch):
    monkeypatch.setattr(service, "BUDGET", 0.2)
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
    assert {one["decided_by"] for one in answers} == {"rule"}
    assert sorted(one["because"] for one in answers) == ["full"] * 3 + ["too late"] * service.PLACES
    assert started.get("/health/ready").status_code == 200, "slow is no reason to send all tills elsewhere"
    slow.go.set()
    deadline = time.monotonic() + 10
    while started.post("/decide", json=GOOD).json()["decided_by"] != "model":
        assert time.monotonic() < deadline, "its places are free again"
    assert slow.calls <= 1 + 3, "the four that waited were cancelled, not worked off"


def test_a_model_that_fails_is_replaced_by_the_rule(client):
    started, broken = client(), Slow()
    broken.predict_proba = lambda rows: 1 / 0
    service.app.state.loading = broken
    assert started.post("/decide", json=GOOD).json()["because"] == "failed"


def test_sixty_four_together_cost_far_less_than_one_by_one(model):
    rows = pd.DataFrame([GOOD] * 64)

    def seconds(batches):
        begin = time.perf_counter()
        for batch in batches:
            model.predict_proba(batch)
        return time.perf_counter() - begin

    apart, together = [rows[i : i + 1] for i in range(64)], [rows]
    model.predict_proba(rows)
    assert min(seconds(together) for _ in range(5)) < 0.25 * min(seconds(apart) for _ in range(3))


# The image


def lint(path):
    done = subprocess.run([BIN / "hadolint", "-f", "json", path], capture_output=True, text=True)
    return done.returncode, {fault["code"] for fault in json.loads(done.stdout)}


def test_the_dockerfile_has_no_fault_that_the_linter_knows():
    assert lint(SERVING / "Dockerfile") == (0, set())


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("python:3.11.14-slim-bookworm AS", "python AS", "DL3006"),
        ("python:3.11.14-slim-bookworm AS", "python:latest AS", "DL3007"),
        ("USER 10001", "USER root", "DL3002"),
        ("--no-cache-dir ", "", "DL3042"),
        (
            'CMD ["uvicorn", "service:app", "--host", "0.0.0.0", "--port", "8080"]',
            "CMD uvicorn service:app",
            "DL3025",
        ),
        ("COPY service.py", "ADD service.py", "DL3020"),
    ],
)
def test_a_spoiled_dockerfile_is_found(tmp_path, old, new, rule):
    text = (SERVING / "Dockerfile").read_text()
    assert old in text
    spoiled = tmp_path / "Dockerfile"
    spoiled.write_text(text.replace(old, new))
    code, rules = lint(spoiled)
    assert code == 1 and rule in rules


FOUND = set("DL3003 DL3004 DL3007 DL3008 DL3009 DL3013 DL3015 DL3020 DL3025 DL3042 DL3047 DL3064".split())


def test_the_linter_finds_what_is_to_repair_but_not_what_is_done_to_whom(tmp_path):
    code, rules = lint(SERVING / "Dockerfile.to_repair")
    assert code == 1 and rules == FOUND
    rest = tmp_path / "Dockerfile"  # root, all of the folder, a pickle that nobody has checked
    rest.write_text(
        "FROM python:3.11.14-slim-bookworm\nWORKDIR /app\nCOPY . .\n"
        'RUN wget -q https://models.tally.example/champion.pkl\nCMD ["uvicorn", "service:app"]\n'
    )
    assert "USER" not in (SERVING / "Dockerfile.to_repair").read_text()
    assert lint(rest) == (0, set())


def test_the_image_installs_what_the_model_was_trained_with():
    lines = (SERVING / "requirements.in").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {name: metadata.version(name) for name in pins} == pins


# What Kubernetes is asked for


def kubernetes(path, *options):
    command = [BIN / "kubernetes-validate", *options, path]
    return subprocess.run(command, capture_output=True, text=True)


def asked():
    return {one["kind"]: one for one in yaml.safe_load_all((SERVING / "deployment.yaml").read_text())}


def container():
    (one,) = asked()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return one


def test_the_manifest_is_valid():
    done = kubernetes(SERVING / "deployment.yaml", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


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
def test_a_misspelt_manifest_is_refused(tmp_path, old, new, strict_only):
    text = (SERVING / "deployment.yaml").read_text()
    assert old in text
    spoiled = tmp_path / "deployment.yaml"
    spoiled.write_text(text.replace(old, new))
    assert kubernetes(spoiled, "--strict").returncode == 1
    assert (kubernetes(spoiled).returncode == 0) == strict_only, "without --strict a misspelt wish is no wish"


def test_probes_ports_and_routes_agree():
    routes = set(service.app.openapi()["paths"])
    (port,) = container()["ports"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container()[name]["httpGet"]
        assert probe["path"] in routes and probe["port"] == port["name"]
    assert container()["livenessProbe"]["httpGet"]["path"] != container()["readinessProbe"]["httpGet"]["path"]
    assert asked()["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert asked()["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]
    text = (SERVING / "Dockerfile").read_text()
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


def test_the_user_of_the_image_is_the_user_of_the_pod_and_may_do_little():
    text = (SERVING / "Dockerfile").read_text()
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
    read = set(re.findall(r'os\.environ\["(\w+)"\]', (SERVING / "service.py").read_text()))
    assert set(given) == read and 0 < float(given["CUTOFF"]) < 1
    mounts = {one["mountPath"] for one in container()["volumeMounts"]}
    assert str(Path(given["MODEL_PATH"]).parent) in mounts


def test_the_command_of_the_image_starts_and_stays_within_the_memory_asked_for(saved, tmp_path):
    (command,) = re.findall(r"^CMD (\[.+\])$", (SERVING / "Dockerfile").read_text(), re.M)
    command = json.loads(command)
    command[-1] = "0"
    env = os.environ | {"MODEL_PATH": str(saved), "MODEL_SHA256": digest(saved), "CUTOFF": "0.8"}
    log = tmp_path / "log"
    with log.open("w") as out:
        running = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=SERVING,
            env=env | {"PYTHONDONTWRITEBYTECODE": "1"},
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 60
        while not (port := re.search(r"running on http://0\.0\.0\.0:(\d+)", log.read_text())):
            assert running.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port[1]}"
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health/ready", timeout=5) as said:
                    assert json.load(said) == {"ready": True}
                break
            except urllib.error.HTTPError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        request = urllib.request.Request(
            f"{address}/decide", json.dumps(GOOD).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as said:
            assert json.load(said)["decided_by"] in ("model", "rule")
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

"""Retraining that may be killed: the runner, the steps, and a run that is killed at each of them."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tally import pipeline
from tally.pipeline import Retraining, Waiting, digest, frozen, leads, retrain, run, save, verdict
from tally.service import load

DAY = "2025-01-20"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow, of SQLAlchemy


class Killed(BaseException):
    """In the place of SIGKILL: nothing in the pipeline catches it."""


def kill(wanted):
    def at(step, moment):
        if f"{step}:{moment}" == wanted:
            raise Killed

    return at


# The runner


@pytest.fixture
def counted():
    """Two steps, and how often each was done."""
    done = []

    def one(results):
        done.append("one")
        return {"value": 1}

    def two(results):
        done.append("two")
        return {"value": results["one"]["value"] + 1}

    return [one, two], done


def test_what_the_journal_holds_is_not_done_again(counted, tmp_path):
    steps, done = counted
    first = run(steps, "Monday", tmp_path)
    assert first == run(steps, "Monday", tmp_path) == {"one": {"value": 1}, "two": {"value": 2}}
    assert done == ["one", "two"]


def test_other_inputs_are_another_run(counted, tmp_path):
    steps, done = counted
    run(steps, "Monday", tmp_path)
    run(steps, "Tuesday", tmp_path)
    assert done == ["one", "two"] * 2


def test_a_result_that_came_out_otherwise_makes_what_follows_anew(counted, tmp_path):
    steps, done = counted
    run(steps, "Monday", tmp_path)
    (tmp_path / f"{digest(['one', 'Monday', {}])}.json").write_text('{"value": 5}')
    assert run(steps, "Monday", tmp_path)["two"] == {"value": 6}
    assert done == ["one", "two", "two"]


@pytest.mark.parametrize(
    ("where", "times"), [("one:before", 1), ("one:done", 2), ("one:writing", 2), ("two:before", 1)]
)
def test_a_step_whose_result_is_not_written_is_done_again(counted, tmp_path, where, times):
    steps, done = counted
    with pytest.raises(Killed):
        run(steps, "Monday", tmp_path, kill(where))
    assert run(steps, "Monday", tmp_path)["two"] == {"value": 2}
    assert done.count("one") == times and done.count("two") == 1


def test_a_stop_ends_the_run_and_is_remembered(tmp_path):
    def no(results):
        return {"stop": "a reason"}

    def never(results):
        raise AssertionError

    assert run([no, never], "Monday", tmp_path) == run([no, never], "Monday", tmp_path)
    assert list(run([no, never], "Monday", tmp_path)) == ["no"]


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "release.json"
    save(path, b"old")

    def die():
        raise Killed

    with pytest.raises(Killed):
        save(path, b"new", die)
    assert path.read_bytes() == b"old"
    save(path, b"new")
    assert path.read_bytes() == b"new" and [one.name for one in tmp_path.iterdir()] == ["release.json"]


# What the steps are made of


def test_a_model_is_frozen_to_the_same_bytes_and_thaws_to_the_same_scores():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(300, 3)), rng.random(300) < 0.5
    models = [HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(rows, labels) for _ in range(2)]
    kept = [np.zeros(1000)]  # so that the second model has other addresses
    one, other = (frozen(model) for model in models)
    assert one == other and kept
    assert pipeline.skops.io.dumps(models[0]) != pipeline.skops.io.dumps(models[1]), (
        "there was something to do"
    )
    thawed = pipeline.skops.io.loads(one, trusted=pipeline.skops.io.get_untrusted_types(data=one))
    assert np.array_equal(thawed.predict_proba(rows), models[0].predict_proba(rows))
    assert frozen(HistGradientBoostingClassifier(max_iter=6, random_state=0).fit(rows, labels)) != one


def test_the_auc_is_that_of_scikit_learn_also_with_ties():
    rng = np.random.default_rng(2)
    repaid, scores = rng.random(500) < 0.8, rng.integers(20, size=500)
    assert pipeline.auc_of(repaid, scores) == pytest.approx(roc_auc_score(repaid, scores), rel=1e-12)


def test_the_lead_of_a_better_model_is_above_zero_and_that_of_the_same_is_zero():
    rng = np.random.default_rng(1)
    repaid = rng.random(800) < 0.8
    bad = rng.random(800)
    assert np.quantile(leads(repaid, bad + repaid, bad), 0.025) > 0
    assert not leads(repaid, bad, bad).any()


@pytest.mark.parametrize(
    ("requests", "fallbacks", "said"),
    [(99, 99, "wait"), (100, 100, "back"), (100, 7, "back"), (100, 6, "promote"), (100, 0, "promote")],
)
def test_a_canary_is_judged_beyond_noise_and_not_before_it_was_asked_enough(requests, fallbacks, said):
    stable = {"requests": 1_000, "fallbacks": 20}
    assert verdict(stable, {"requests": requests, "fallbacks": fallbacks}, least=100) == said


def test_a_canary_that_nothing_can_be_compared_with_waits():
    assert verdict({"requests": 0, "fallbacks": 0}, {"requests": 500, "fallbacks": 0}, 100) == "wait"


# A run


@pytest.fixture(scope="module")
def template(applications, tmp_path_factory):
    """A folder whose run passes all gates: a week of rows, and a champion that learned from shuffled labels."""
    folder = tmp_path_factory.mktemp("template")
    few = applications[applications.applied_at.between("2024-11-25", "2024-12-10")]
    few.to_parquet(folder / "few.parquet")
    settings = {"data": str(folder / "few.parquet"), "window_days": 7, "watched_days": 7, "cooldown_days": 0}
    (folder / "settings.json").write_text(json.dumps(settings | {"least": 100}))
    monday = Retraining(folder, DAY)
    rows = monday.labelled(7)
    shuffled = rows.repaid.sample(frac=1, random_state=7)
    model = HistGradientBoostingClassifier(max_iter=5, random_state=7)
    content = frozen(model.fit(rows[list(pipeline.READ)].astype(float), shuffled.to_numpy()))
    sha256 = pipeline.hashlib.sha256(content).hexdigest()
    save(folder / "models" / sha256, content)
    champion = {"sha256": sha256, "trained_at": f"{DAY}T04:00:00+00:00", "columns": list(pipeline.READ)}
    monday.ask_for(stable=champion | {"auc": 0.83, "cutoff": 0.8}, canary=None, share=0)
    pipeline.registry(folder)
    return folder


@pytest.fixture
def folder(template, tmp_path):
    shutil.copytree(template, tmp_path / "run")
    return tmp_path / "run"


def asked(folder):
    return json.loads((folder / "release.json").read_bytes())


def report(folder, sha256, fallbacks=2):
    canary = {"sha256": sha256, "requests": 100, "fallbacks": fallbacks}
    save(
        folder / "status.json",
        json.dumps({"stable": {"requests": 900, "fallbacks": 18}, "canary": canary}).encode(),
    )


def registered(folder):
    """[(version, digest, how its canary ended)], and the aliases."""
    client = pipeline.registry(folder)
    found = sorted(client.search_model_versions("name='credit'"), key=lambda one: int(one.version))
    versions = [(int(one.version), one.tags["sha256"], one.tags.get("canary")) for one in found]
    return versions, dict(client.get_registered_model("credit").aliases)


def test_a_run_waits_for_its_canary_and_then_promotes(folder):
    before = asked(folder)["stable"]
    assert retrain(folder, DAY) is None
    release = asked(folder)
    assert release["stable"] == before and release["share"] == 10
    load(str(folder / "models" / release["canary"]["sha256"]), release["canary"]["sha256"])
    assert retrain(folder, DAY) is None, "nobody has served it"
    report(folder, "of another release")
    assert retrain(folder, DAY) is None, "what was counted belongs to another release"
    report(folder, release["canary"]["sha256"])
    assert retrain(folder, DAY)["release"] == {"stable": release["canary"]["sha256"]}
    assert asked(folder) == {"stable": release["canary"], "canary": None, "share": 0}
    assert registered(folder) == ([(1, release["canary"]["sha256"], "promote")], {"champion": 1})


def test_a_bad_canary_goes_back_by_itself(folder):
    before = asked(folder)["stable"]
    retrain(folder, DAY)
    candidate = asked(folder)["canary"]["sha256"]
    report(folder, candidate, fallbacks=50)
    retrain(folder, DAY)
    assert asked(folder) == {"stable": before, "canary": None, "share": 0}
    assert registered(folder) == ([(1, candidate, "back")], {})


def contents(folder):
    files = {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"registry.db"}
    return files, asked(folder), registered(folder)


@pytest.fixture(scope="module")
def undisturbed(template, tmp_path_factory):
    """What a run leaves that nobody killed, and its candidate's digest."""
    folder = tmp_path_factory.mktemp("calm") / "run"
    shutil.copytree(template, folder)
    retrain(folder, DAY)
    candidate = asked(folder)["canary"]["sha256"]
    report(folder, candidate)
    retrain(folder, DAY)
    return contents(folder), candidate


STEPS = "begin watch trigger data_gate train model_gate register offer canary release alias".split()


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_at_any_step_and_resumed_ends_as_if_nothing_had_been(step, folder, undisturbed):
    end, candidate = undisturbed
    report(folder, candidate)
    monday = Retraining(folder, DAY)
    assert [one.__name__ for one in monday.steps] == STEPS
    for moment in ("before", "done", "writing"):
        with pytest.raises(Killed):
            run(monday.steps, monday.inputs, folder / "journal", kill(f"{step}:{moment}"))
    retrain(folder, DAY)
    assert contents(folder) == end


def test_a_process_that_is_really_killed_gives_its_lock_back_and_is_resumed(folder, undisturbed):
    end, candidate = undisturbed
    report(folder, candidate)
    command = [sys.executable, "-m", "tally.pipeline", folder, DAY, "--kill-at", "register:done"]
    killed = subprocess.run(command, cwd=ROOT)  # as many threads as here: sums depend on it
    assert killed.returncode == -signal.SIGKILL
    with sqlite3.connect(folder / "registry.db") as tables:
        assert tables.execute("SELECT count(*) FROM model_versions").fetchone() == (1,), "killed behind it"
    tables.close()
    retrain(folder, DAY)
    assert contents(folder) == end


def test_two_runs_at_once_are_refused(folder):
    with (folder / "lock").open("w") as held:
        pipeline.fcntl.flock(held, pipeline.fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            retrain(folder, DAY)


def test_the_exit_code_says_whether_to_come_back(folder, undisturbed):
    with pytest.raises(SystemExit) as waits:
        pipeline.main([str(folder), DAY])
    report(folder, undisturbed[1])
    with pytest.raises(SystemExit) as done:
        pipeline.main([str(folder), DAY])
    assert (waits.value.code, done.value.code) == (75, 0)


# Where a run stops


@pytest.fixture
def monday(folder):
    return Retraining(folder, DAY)


def test_no_alarm_and_a_young_champion_stop_the_run(monday):
    champion = {"trained_at": "2025-01-06T04:00:00+00:00"}
    quiet = {"begin": champion, "watch": {"alarm": False}}
    assert monday.trigger(quiet) == {"stop": "no alarm"}
    loud = {"begin": champion, "watch": {"alarm": True}}
    assert monday.trigger(loud) == {"rested": 14}  # the drill's cooldown is 0
    monday.settings = pipeline.Settings(monday.settings.data)
    assert monday.trigger(loud) == {"stop": "trained 14 days ago"}
    old = {"begin": {"trained_at": "2024-11-08T04:00:00+00:00"}, "watch": {"alarm": True}}
    assert monday.trigger(old) == {"rested": 73}, (
        "from here on all watched labels are newer than the champion"
    )


def test_a_day_that_breaks_the_contract_stops_the_run(monday):
    assert "stop" not in monday.data_gate({})
    monday.table.loc[monday.table.applied_at.dt.strftime("%Y-%m-%d") == "2024-12-02", "income"] = 2_000
    found = monday.data_gate({})
    assert found["stop"] == "contract broken" and list(found["broken"]) == ["2024-12-02"]


def test_rows_whose_labels_are_not_known_are_not_read(monday, applications):
    rows = monday.labelled(7)
    known = applications.set_index("application_id").label_known_at[rows.application_id]
    assert known.max() < pd.Timestamp(DAY) and len(rows) > 500


def test_who_judges_does_not_teach(monday, monkeypatch):
    taught = []

    class Spy(HistGradientBoostingClassifier):
        def fit(self, rows, labels):
            taught.append(rows.index)
            return super().fit(rows, labels)

    monkeypatch.setattr(pipeline, "HistGradientBoostingClassifier", Spy)
    monkeypatch.setattr(pipeline, "frozen", lambda model: b"model")
    assert monday.train({})["rows"] == len(taught[0])
    assert (monday.table.customer_id[taught[0]] % 5 != 0).all()


def test_a_candidate_without_a_proven_lead_stops_the_run(monday, folder):
    champion = asked(folder)["stable"]
    same = {"begin": champion, "train": {"sha256": champion["sha256"]}}
    assert monday.model_gate(same)["stop"] == "no proven lead"


def test_a_release_whose_canary_was_not_judged_is_not_made(monday):
    with pytest.raises(Waiting):
        monday.canary({"offer": {"sha256": "0" * 64}})

"""Chapter 9: the plan that it prints is stopped, a model moves and keeps its name, and the sums are sums."""

import json
import re
from ast import literal_eval

import boto3
import pandas as pd
import pytest
from conftest import ROOT
from moto import mock_aws
from sklearn.ensemble import HistGradientBoostingClassifier
from skops import io

from tally.model_store import Bucket, Folder, move

CHAPTER = (ROOT / "chapters" / "09_cloud.md").read_text()


def lab(name):
    """The cells of a lab, by their ids."""
    notebook = json.loads((ROOT / "labs" / f"{name}.ipynb").read_text())
    return {cell["id"]: cell for cell in notebook["cells"]}


def figures(name, prefix):
    """The figures that a lab has recorded under names that begin with `prefix`, and a point."""
    outputs = [output for cell in lab(name).values() for output in cell.get("outputs", [])]
    named = {output.get("metadata", {}).get("scrapbook", {}).get("name", ""): output for output in outputs}
    return {
        name.removeprefix(f"{prefix}."): literal_eval("".join(*output["data"].values()))
        for name, output in named.items()
        if name.startswith(f"{prefix}.")
    }


@pytest.fixture
def cloud(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield


# A plan


def test_the_gate_of_the_lab_stops_at_the_two_changes_that_the_chapter_says():
    [plan] = re.findall(r"^```json\n(.+?)^```", CHAPTER, flags=re.M | re.S)
    names = {}
    exec("".join(lab("09_infrastructure_as_code")["must_read-solution"]["source"]), names)
    assert names["must_read"](json.loads(plan)) == {"Models", "Service"}


# The models


def bucket():
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return Bucket("models", s3)


@pytest.fixture(scope="module")
def applications():
    rows = pd.read_parquet(ROOT / "data" / "applications.parquet").iloc[:6000]
    return rows[["basket", "income", "tenure_days", "utilisation"]], rows.repaid


def test_a_model_that_moves_to_the_cloud_and_back_keeps_its_name_and_its_scores(
    cloud, applications, tmp_path
):
    rows, repaid = applications
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows[:5000], repaid[:5000])
    here, there, back = Folder(tmp_path), bucket(), Folder(tmp_path / "back")
    back.path.mkdir()
    name = here.put(io.dumps(model))
    move(name, here, there)
    move(name, there, back)
    trusted = io.get_untrusted_types(data=back.get(name))
    again = io.loads(back.get(name), trusted=trusted)
    assert (again.predict_proba(rows[5000:]) == model.predict_proba(rows[5000:])).all()


@pytest.fixture(params=["folder", "bucket"])
def store(request, cloud, tmp_path):
    return Folder(tmp_path) if request.param == "folder" else bucket()


def test_reverting_the_commit_brings_back_the_name_only(store):
    commits = [store.put(b"January"), store.put(b"February")]  # the digest is what a commit holds
    if isinstance(store, Folder):
        (store.path / commits[0]).unlink()
    else:
        store.client.delete_object(Bucket=store.name, Key=f"models/{commits[0]}")
    with pytest.raises(KeyError):
        store.get(commits[0])


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_lab_9_1_has_recorded():
    iac = figures("09_infrastructure_as_code", "iac")
    assert iac["edits"] == 8 and iac["faults"] == 12, "the caption of the plot"
    assert iac["settings"] == 3, "a value, a timeout and a description"
    assert iac["repaired_same"] == 0 and iac["repaired_touched"] == iac["settings"]
    assert max(iac[f"seen_{reader}"] for reader in ("declared", "everything", "inventory")) < iac["edits"]
    assert iac["edits"] - iac["seen_everything"] == 2, "a second bucket and a user"
    assert iac["seen_inventory"] < iac["seen_declared"], "fewer than any other"
    assert iac["both"] < iac["linter"] < iac["rules"] < iac["faults"]
    assert (iac["ways"], iac["full_survived"]) == (3 * 2 * 2, 3 * 2), "all full buckets"
    assert iac["promises_kept"] == 2, "the two that the chapter names"
    assert iac["ansible_after_hand"] == 2 and iac["command_second"] == 1


def test_what_the_chapter_says_in_words_is_what_lab_9_2_has_recorded():
    spot = figures("09_hybrid_and_spot", "spot")
    assert spot["seeds_low"] < spot["careless"] < spot["seeds_high"], "as between models of other seeds"
    assert abs(spot["notice_hours"] / spot["young_hours"] - 1) < 0.05, "about as long"
    assert spot["both_hours"] < min(spot["notice_hours"], spot["young_hours"])
    assert max(spot["half_as_often"], spot["twice_as_often"]) < 0.05, "the minimum is flat"
    assert 0.05 < spot["hours_more"] < 0.15, "a tenth above one"
    assert (spot["moved"], spot["asked"]) == (3, 10), "bytes, name and decisions, of ten questions"
    assert (spot["refused"], spot["things"]) == (3, 5), "features, scores and the checkpoint"
    assert spot["never_daily"] < 1 < spot["never_bill"], "one a day, and one every six hours"


def test_what_the_chapter_says_in_words_of_the_sheets_is_what_lab_9_2_has_recorded():
    cost = figures("09_hybrid_and_spot", "cost")
    week = figures("07_retraining_triggers", "retrain")["tills_repaired"]
    assert 8 < cost["second_cloud_year"] / week < 9, "more than eight whole weeks"
    assert cost["own_from_times"] == pytest.approx(1e6, rel=0.1), "a million times what Tally has"
    soft = [cost[f"own_{what}"] for what in ("hours_halved", "hours_doubled", "from_millions_shared")]
    assert 2 < max(cost["own_from_millions"] / min(soft), max(soft) / cost["own_from_millions"]) < 5
    assert round(cost["tally_calls"], 2) == 0.01, "one cent"

"""Chapter 9: the stack deploys, its faults are refused, hands are noticed, and the sums are sums."""

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from math import inf
from pathlib import Path

import cost
import numpy as np
import pandas as pd
import pytest
import spot
import stack_rules
from conftest import ROOT
from hand_edits import EDITS, REPAIRABLE, TEMPLATE, complete, deploy, noticed, repaired, touched
from moto import mock_aws
from plan import takes_away
from sklearn.ensemble import HistGradientBoostingClassifier
from skops import io

from tally.drift import client, drift
from tally.model_store import Bucket, Folder, move

BIN = Path(sys.executable).parent


def complaints(path):
    done = subprocess.run([BIN / "cfn-lint", path], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.fixture
def cloud():
    with mock_aws():
        yield


# The template


def test_the_linter_and_our_rules_accept_the_stack():
    assert complaints(ROOT / "tally" / "stack.yml") == (0, "")
    assert stack_rules.refused(TEMPLATE) == []


@pytest.mark.parametrize("fault", stack_rules.FAULTS)
def test_each_planted_fault_is_refused_by_somebody(fault):
    text = stack_rules.planted(fault)
    assert stack_rules.linted(text) or stack_rules.ruled(text)


def test_the_linter_passes_what_is_legal_and_unsafe(tmp_path):
    opened = tmp_path / "stack.yml"
    opened.write_text(stack_rules.planted("a switch turned"))
    assert complaints(opened) == (0, "")
    assert stack_rules.refused(opened.read_text()) == ["Models: anybody could be let in"]


def test_a_fault_that_is_nowhere_planted_is_an_error(monkeypatch):
    monkeypatch.setitem(stack_rules.FAULTS, "typo", ("NoSuchWord", ""))
    with pytest.raises(ValueError, match="does not say"):
        stack_rules.planted("typo")


def test_the_cloud_makes_what_the_stack_declares(cloud):
    made = deploy()
    complete(made)
    stack = client("cloudformation").describe_stacks(StackName="models")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs["Bucket"] == made["Models"] and set(outputs) == {"Bucket", "ContinuousRole", "ServiceRole"}
    trust = client("iam").get_role(RoleName=made["Continuous"])["Role"]["AssumeRolePolicyDocument"]
    [statement] = trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:tally@1001/models@2002:ref:refs/heads/main",
        }
    }
    assert drift(TEMPLATE, "models") == []


def test_complete_is_what_the_emulator_says_and_not_what_is_there(cloud):
    deploy()
    status = client("cloudformation").describe_stacks(StackName="models")["Stacks"][0]["StackStatus"]
    assert status == "CREATE_COMPLETE"
    missing = {one.path.split("/")[1] for one in drift(TEMPLATE, "models")}
    assert missing == {"PublicAccessBlockConfiguration", "VersioningConfiguration"}


def test_whoever_renames_the_bucket_gets_an_empty_one_and_keeps_the_models(cloud):
    made = deploy()
    name = Bucket(made["Models"], client("s3")).put(b"a model")
    renamed = TEMPLATE.replace("  Models:\n", "  Store:\n").replace("Models.Arn", "Store.Arn")
    fresh = deploy(verb="update_stack", template=renamed.replace("!Ref Models", "!Ref Store"))
    with pytest.raises(KeyError):
        Bucket(fresh["Store"], client("s3")).get(name)
    assert Bucket(made["Models"], client("s3")).get(name) == b"a model"


# Hands


BLIND = {"hand a key to a vendor", "make a second bucket beside it"}  # no stack made these


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_by_hand_is_seen_where_a_stack_made_the_resource(cloud, edit):
    assert noticed(EDITS[edit], "models")["seen_all"] == (edit not in BLIND)


def test_the_same_template_repairs_nothing(cloud):
    assert repaired(REPAIRABLE) == set()


def test_the_emulator_would_have_repaired_it_had_the_commit_touched_the_resource(cloud):
    """The positive control: without it, "repaired nothing" would only say that the emulator cannot repair."""
    assert repaired(touched(REPAIRABLE)) == {"Champion", "Outcomes", "Reader", "Models"}


def test_a_commit_that_touches_one_resource_repairs_that_one(cloud):
    assert repaired(REPAIRABLE.replace("DelaySeconds: 0", "DelaySeconds: 5")) == {"Outcomes"}


def test_the_emulator_has_no_drift_detection_of_its_own(cloud):
    deploy()
    with pytest.raises(NotImplementedError):
        client("cloudformation").detect_stack_drift(StackName="models")


def test_a_difference_says_what_was_declared_and_what_is_there(cloud):
    made = deploy()
    complete(made)
    EDITS["suspend versioning"](made)
    [one] = drift(TEMPLATE, "models")
    assert one == ("Models", "/VersioningConfiguration/Status", "Enabled", "Suspended", "declared")


def test_the_open_bucket_shows_the_switches_as_declared_and_the_policy_as_nobodys(cloud):
    made = deploy()
    complete(made)
    EDITS["open the bucket to everybody"](made)
    kinds = {(one.path.split("/")[1], one.kind) for one in drift(TEMPLATE, "models")}
    assert kinds == {("PublicAccessBlockConfiguration", "declared"), ("BucketPolicy", "undeclared")}


def test_a_bucket_that_is_gone_is_a_difference(cloud):
    made = deploy()
    complete(made)
    client("s3").delete_bucket(Bucket=made["Models"])
    assert drift(TEMPLATE, "models") == [("Models", "/", "exists", "NoSuchBucket", "declared")]


def test_what_nobody_can_read_is_an_error_and_not_silence(cloud):
    with_queue = TEMPLATE.replace("\nOutputs:", "\n  Waiting:\n    Type: AWS::SQS::Queue\n\nOutputs:")
    deploy(template=with_queue)
    with pytest.raises(NotImplementedError, match="Waiting: cannot read AWS::SQS::Queue"):
        drift(with_queue, "models")


# A plan


def change(**said):
    return [{"ResourceChange": {"LogicalResourceId": "One", "Action": "Modify"} | said}]


@pytest.mark.parametrize(
    ("said", "fate"),
    [
        ({"Action": "Remove", "PolicyAction": "Delete"}, "is deleted"),
        ({"Action": "Remove"}, "is deleted"),
        ({"Action": "Remove", "PolicyAction": "Retain"}, "stays, outside the stack"),
        ({"Action": "Remove", "PolicyAction": "Snapshot"}, "leaves a snapshot"),
        ({"Replacement": "True"}, "replaced by an empty one; the old is deleted"),
        ({"Replacement": "Conditional"}, "may be replaced by an empty one; the old is deleted"),
        ({"Action": "Dynamic"}, "may be replaced by an empty one; the old is deleted"),
        (
            {"Replacement": "True", "PolicyAction": "ReplaceAndRetain"},
            "replaced by an empty one; the old stays, outside the stack",
        ),
        ({"Replacement": "False"}, None),
        ({}, None),
        ({"Action": "Add"}, None),
        ({"Action": "Import"}, None),
    ],
    ids=str,
)
def test_a_plan_is_stopped_when_it_takes_something_away(said, fate):
    assert takes_away(change(**said)) == ({"One": fate} if fate else {})


def test_the_plan_of_the_chapter_takes_away_what_the_chapter_says():
    chapter = (ROOT / "chapters" / "09_cloud.md").read_text()
    [plan] = re.findall(r"^```json\n(.+?)^```", chapter, flags=re.M | re.S)
    assert takes_away(json.loads(plan)) == {
        "Models": "replaced by an empty one; the old stays, outside the stack",
        "Service": "is deleted",
    }


def test_the_emulator_never_says_that_a_resource_is_replaced(cloud):
    deploy("control", template=REPAIRABLE)
    asked = {"StackName": "control", "ChangeSetName": "rename"}
    renamed = REPAIRABLE.replace("BucketName: models", "BucketName: others")
    client("cloudformation").create_change_set(
        **asked, TemplateBody=renamed, Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    changes = client("cloudformation").describe_change_set(**asked)["Changes"]
    assert changes and not any("Replacement" in one["ResourceChange"] for one in changes)


# The models


@pytest.fixture(scope="module")
def applications():
    rows = pd.read_parquet(ROOT / "data" / "applications.parquet").iloc[:6000]
    return rows[["basket", "income", "tenure_days", "utilisation"]], rows.repaid


def test_a_model_that_moves_to_the_cloud_and_back_keeps_its_name_and_its_scores(
    cloud, applications, tmp_path
):
    rows, repaid = applications
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows[:5000], repaid[:5000])
    here, there, back = Folder(tmp_path), Bucket(deploy()["Models"], client("s3")), Folder(tmp_path / "back")
    back.path.mkdir()
    name = here.put(io.dumps(model))
    move(name, here, there)
    move(name, there, back)
    trusted = io.get_untrusted_types(data=back.get(name))
    again = io.loads(back.get(name), trusted=trusted)
    assert (again.predict_proba(rows[5000:]) == model.predict_proba(rows[5000:])).all()


@pytest.fixture(params=["folder", "bucket"])
def store(request, cloud, tmp_path):
    return Folder(tmp_path) if request.param == "folder" else Bucket(deploy()["Models"], client("s3"))


def test_reverting_the_commit_brings_back_the_name_only(store):
    commits = [store.put(b"January"), store.put(b"February")]  # the digest is what a commit holds
    if isinstance(store, Folder):
        (store.path / commits[0]).unlink()
    else:
        store.client.delete_object(Bucket=store.name, Key=f"models/{commits[0]}")
    with pytest.raises(KeyError):
        store.get(commits[0])


# The sums


def test_ten_million_requests_cost_what_one_adds_up_by_hand():
    given = cost.Inputs()
    assert cost.cost(given, "serverless", 1e7) == pytest.approx(4 * 80 + 10 * 0.40 + 1e7 * 2 * 0.05 * 0.00002)
    assert cost.cost(given, "managed", 1e7) == pytest.approx(8 * 80 + 2 * 730 * 0.14)
    assert cost.cost(given, "own", 1e7) == pytest.approx(40 * 80 + 2 * 730 * 0.10)


@pytest.mark.parametrize("ways", [("serverless", "managed"), ("managed", "own"), ("serverless", "own")])
def test_the_cheaper_way_changes_at_the_crossing_and_nowhere_else(ways):
    given = cost.Inputs()
    at = cost.crossing(given, *ways)
    volumes = np.geomspace(1e3, 1e12, 400)
    cheaper = np.array([cost.cost(given, ways[1], n) < cost.cost(given, ways[0], n) for n in volumes])
    assert (cheaper == (volumes > at)).all()


def test_a_crossing_that_never_comes_is_infinite():
    assert cost.crossing(cost.Inputs(managed_surcharge=9), "serverless", "managed") == inf


def test_hours_move_the_crossing_most_and_an_input_of_neither_sum_does_not():
    moved = cost.sensitivity(cost.Inputs(), "managed", "own")
    assert set(moved) == {one.name for one in fields(cost.Inputs)}
    assert moved["gigabytes"][0] == moved["gigabytes"][1] == cost.crossing(cost.Inputs(), "managed", "own")
    assert next(iter(moved)) == "own_hours", "the chapter says that hours move it most, and no price"
    factors = [cost.spread(*pair) for pair in moved.values()]
    assert factors == sorted(factors, reverse=True)


def test_no_autoscaler_pays_for_the_peak():
    fixed, scaled = (cost.machines(replace(cost.Inputs(), follows=f), 1e10) for f in (0, 1))
    assert fixed == pytest.approx(4 * scaled)


def test_the_insurance_is_worth_its_premium_at_the_chance_that_is_stated():
    case = cost.Leaving()
    saved = case.leave(case.weeks_bare) - case.leave(case.weeks_insured)
    assert case.worth_it_from() * saved == pytest.approx(case.premium_year())


@pytest.mark.parametrize("interval", [0.2, 0.8, 4.0])
@pytest.mark.parametrize("between", [3.0, 12.0])
def test_the_formula_agrees_with_a_simulation(interval, between):
    case = spot.Spot(between=between)
    took = spot.simulate(case, interval, 3000, np.random.default_rng(1))
    assert case.hours(interval) == pytest.approx(took.mean(), abs=4 * took.std() / np.sqrt(len(took)))


def test_the_square_root_is_near_the_best_and_a_factor_of_two_off_is_still_good():
    case = spot.Spot()
    assert case.hours(case.interval()) < 1.001 * case.hours(case.best_interval())
    assert max(case.hours(case.interval() * by) for by in (0.5, 2)) < 1.05 * case.hours(case.interval())


def test_without_a_save_the_discount_is_dearer_than_the_price():
    assert spot.Spot().cost() > spot.Spot().work > spot.Spot().cost(spot.Spot().interval())


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():
    edits, cost, spot = (
        json.loads((ROOT / f"chapters/artefacts/{name}.json").read_text())
        for name in ("hand_edits", "cost", "spot")
    )
    assert edits["seen_all"] - edits["seen_declared"] == 3 and edits["unseen"] == 2
    assert edits["repaired_same"] == 0 and edits["repaired_touched"] == edits["settings"]
    outputs = [
        output.get("metadata", {}).get("scrapbook", {}).get("name") == "retrain.tills_repaired" and output
        for cell in json.loads((ROOT / "labs/07_retraining_triggers.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    [week] = [float(*output["data"].values()) for output in outputs if output]
    assert 8 < cost["second_cloud_year"] / week < 9, "more than eight whole weeks"
    assert cost["own_from_times"] == pytest.approx(1e6, rel=0.1), "a million times what Tally has"
    soft = [cost[f"own_{what}"] for what in ("hours_halved", "hours_doubled", "from_millions_shared")]
    assert 2 < max(cost["own_from_millions"] / min(soft), max(soft) / cost["own_from_millions"]) < 5
    assert round(cost["tally_calls"], 2) == 0.01, "one cent"
    assert spot["half_more"] < 0.1 and spot["double_more"] < 0.1, "how little the interval matters"

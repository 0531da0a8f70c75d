"""The stack of the models, the rules that refuse it and the comparison with what is there: as programs, by their exit
codes, since a pipeline reads nothing else."""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

import tally
from tally import drift, stack_rules

STACK = Path(tally.__file__).parent / "stack.yml"
SWITCH = "RestrictPublicBuckets: true"


@pytest.fixture
def template(tmp_path):
    """A function: the path of a template that says `instead` where the stack says `right`."""

    def make(right, instead):
        assert right in STACK.read_text()
        path = tmp_path / "stack.yml"
        path.write_text(STACK.read_text().replace(right, instead, 1))
        return path

    return make


def test_the_rules_accept_the_stack():
    assert stack_rules.refused(STACK.read_text()) == []


@pytest.mark.parametrize(
    ("right", "instead", "reason"),
    [
        (SWITCH, "RestrictPublicBuckets: false", "Models: anybody could be let in"),
        (SWITCH, 'RestrictPublicBuckets: "true"', "Models: anybody could be let in"),
        ("Status: Enabled", "Status: Suspended", "Models: what is overwritten is gone"),
        (
            "UpdateReplacePolicy: Retain",
            "UpdateReplacePolicy: Delete",
            "Models: the models go with the stack",
        ),
        (
            "StringEquals:",
            "StringLike:",
            "Continuous: more than one repository and branch may become this role",
        ),
        (
            "kubernetes-namespace:",
            "kubernetes-label:",
            "Service: more than one service account may become this role",
        ),
        ("Action: s3:GetObject", 'Action: "s3:*"', "Service: read-models allows a star"),
    ],
)
def test_the_rules_name_the_fault(template, right, instead, reason):
    assert stack_rules.refused(template(right, instead).read_text()) == [reason]


def test_drift_is_what_differs_and_nothing_else(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        drift.client.cache_clear()
        cloud, iam = boto3.client("cloudformation"), boto3.client("iam")
        cloud.create_stack(
            StackName="models", TemplateBody=STACK.read_text(), Capabilities=["CAPABILITY_IAM"]
        )
        before = drift.drift(STACK.read_text(), "models")
        [service] = [one["RoleName"] for one in iam.list_roles()["Roles"] if "Service" in one["RoleName"]]
        iam.put_role_policy(
            RoleName=service,
            PolicyName="read-models",
            PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}',
        )
        more = [one for one in drift.drift(STACK.read_text(), "models") if one not in before]
        assert {one.resource for one in more} == {"Service"} and {one.kind for one in more} == {"declared"}
        assert ("s3:GetObject", "s3:*") in [(one.declared, one.found) for one in more]
    drift.client.cache_clear()


@pytest.mark.parametrize(("instead", "code"), [(SWITCH, 0), ("RestrictPublicBuckets: false", 1)])
def test_a_pipeline_can_ask_the_rules(template, instead, code):
    done = subprocess.run(
        [sys.executable, "-m", "tally.stack_rules", template(SWITCH, instead)], capture_output=True
    )
    assert done.returncode == code, done.stderr

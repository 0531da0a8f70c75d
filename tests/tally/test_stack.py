"""The stack of the models, the rules that refuse it and the comparison with what is there: as programs, by their exit
codes, since a pipeline reads nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

import tally
from tally import drift, stack_rules

STACK = Path(tally.__file__).parent / "stack.yml"
TEMPLATE = STACK.read_text()
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


@pytest.fixture
def cloud(monkeypatch):
    """A function: deploy a template into an emulated cloud; {the template's name: the physical one}."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    def deploy(template=TEMPLATE):
        formation = boto3.client("cloudformation")
        formation.create_stack(StackName="models", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
        made = formation.describe_stack_resources(StackName="models")["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in made}

    with mock_aws():
        drift.client.cache_clear()
        yield deploy
    drift.client.cache_clear()


@pytest.fixture
def whole(cloud):
    """The stack with all that it declares: what the emulator leaves out of the bucket is set."""
    made, s3 = cloud(), boto3.client("s3")
    s3.put_bucket_versioning(Bucket=made["Models"], VersioningConfiguration={"Status": "Enabled"})
    block = dict.fromkeys(stack_rules.SWITCHES, True)
    s3.put_public_access_block(Bucket=made["Models"], PublicAccessBlockConfiguration=block)
    assert drift.drift(TEMPLATE, "models") == []
    return made


def test_the_linter_and_the_rules_accept_the_stack():
    done = subprocess.run([Path(sys.executable).parent / "cfn-lint", STACK], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert stack_rules.refused(TEMPLATE) == []


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


def test_the_pipeline_s_role_is_for_one_branch_of_one_repository(whole):
    trust = boto3.client("iam").get_role(RoleName=whole["Continuous"])["Role"]["AssumeRolePolicyDocument"]
    [statement] = trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:tally@1001/models@2002:ref:refs/heads/main",
        }
    }


def test_complete_is_what_the_emulator_says_and_not_what_is_there(cloud):
    cloud()
    [stack] = boto3.client("cloudformation").describe_stacks(StackName="models")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {one["OutputKey"] for one in stack["Outputs"]} == {"Bucket", "ContinuousRole", "ServiceRole"}
    missing = {one.path.split("/")[1] for one in drift.drift(TEMPLATE, "models")}
    assert missing == {"PublicAccessBlockConfiguration", "VersioningConfiguration"}


def test_a_right_that_was_widened_by_hand_is_a_difference(whole):
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    )
    boto3.client("iam").put_role_policy(
        RoleName=whole["Service"], PolicyName="read-models", PolicyDocument=policy
    )
    found = drift.drift(TEMPLATE, "models")
    assert {one.resource for one in found} == {"Service"} and {one.kind for one in found} == {"declared"}
    assert ("s3:GetObject", "s3:*") in [(one.declared, one.found) for one in found]


def test_a_difference_says_what_was_declared_and_what_is_there(whole):
    boto3.client("s3").put_bucket_versioning(
        Bucket=whole["Models"], VersioningConfiguration={"Status": "Suspended"}
    )
    [one] = drift.drift(TEMPLATE, "models")
    assert one == ("Models", "/VersioningConfiguration/Status", "Enabled", "Suspended", "declared")


def test_an_open_bucket_shows_the_switches_as_declared_and_the_policy_as_nobody_s(whole):
    s3, name = boto3.client("s3"), whole["Models"]
    s3.delete_public_access_block(Bucket=name)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Principal": "*"}
    statement["Resource"] = f"arn:aws:s3:::{name}/*"
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    kinds = {(one.path.split("/")[1], one.kind) for one in drift.drift(TEMPLATE, "models")}
    assert kinds == {("PublicAccessBlockConfiguration", "declared"), ("BucketPolicy", "undeclared")}


def test_a_rule_that_no_template_names_is_a_difference(whole):
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 30}
    boto3.client("s3").put_bucket_lifecycle_configuration(
        Bucket=whole["Models"], LifecycleConfiguration={"Rules": [rule]}
    )
    assert {one.kind for one in drift.drift(TEMPLATE, "models")} == {"undeclared"}


def test_encryption_that_was_taken_away_is_a_difference(whole):
    boto3.client("s3").delete_bucket_encryption(Bucket=whole["Models"])
    [one] = drift.drift(TEMPLATE, "models")
    assert (one.declared, one.found, one.kind) == ("AES256", None, "declared")


def test_what_no_stack_made_is_not_seen(whole):
    boto3.client("iam").create_user(UserName="vendor")
    assert drift.drift(TEMPLATE, "models") == []


def test_a_bucket_that_is_gone_is_a_difference(whole):
    boto3.client("s3").delete_bucket(Bucket=whole["Models"])
    assert drift.drift(TEMPLATE, "models") == [("Models", "/", "exists", "NoSuchBucket", "declared")]


def test_what_nobody_can_read_is_an_error_and_not_silence(cloud):
    with_queue = TEMPLATE.replace("\nOutputs:", "\n  Waiting:\n    Type: AWS::SQS::Queue\n\nOutputs:")
    cloud(with_queue)
    with pytest.raises(NotImplementedError, match="Waiting: cannot read AWS::SQS::Queue"):
        drift.drift(with_queue, "models")


@pytest.mark.parametrize(("instead", "code"), [(SWITCH, 0), ("RestrictPublicBuckets: false", 1)])
def test_a_pipeline_can_ask_the_rules(template, instead, code):
    done = subprocess.run(
        [sys.executable, "-m", "tally.stack_rules", template(SWITCH, instead)], capture_output=True
    )
    assert done.returncode == code, done.stderr

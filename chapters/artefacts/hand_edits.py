"""Deploy stack.yml into an emulated cloud, change it by hand in a dozen ways, and count who
notices.

Run as a program it prints the counts. The cloud is moto, in this process: nothing leaves
the machine.
"""

import json
import os
from pathlib import Path

os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_DEFAULT_REGION="eu-central-1")

from drift import client, drift
from moto import mock_aws

TEMPLATE = (Path(__file__).parent / "stack.yml").read_text()


def deploy(stack="models", verb="create_stack", template=TEMPLATE):
    """Create or update a stack; {the template's name: the physical one}."""
    cloud = client("cloudformation")
    getattr(cloud, verb)(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    made = cloud.describe_stack_resources(StackName=stack)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in made}


def block(made, **switch):
    four = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    client("s3").put_public_access_block(
        Bucket=made["Models"], PublicAccessBlockConfiguration=dict.fromkeys(four, True) | switch
    )


def versioning(made, status):
    client("s3").put_bucket_versioning(Bucket=made["Models"], VersioningConfiguration={"Status": status})


def complete(made):
    """Set what the emulator leaves out of a bucket although it reports CREATE_COMPLETE."""
    versioning(made, "Enabled")
    block(made)


def allow(action, resource="*", **more):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def let_read(made, whom):
    policy = allow("s3:GetObject", f"arn:aws:s3:::{made['Models']}/*", Principal=whom)
    client("s3").put_bucket_policy(Bucket=made["Models"], Policy=policy)


def open_to_everybody(made):
    client("s3").delete_public_access_block(Bucket=made["Models"])
    let_read(made, "*")


def trust_every_branch(made):
    role = client("iam").get_role(RoleName=made["Continuous"])["Role"]
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    claims = condition.pop("StringEquals")
    condition["StringLike"] = claims | {"token.actions.githubusercontent.com:sub": "repo:tally/*"}
    client("iam").update_assume_role_policy(
        RoleName=made["Continuous"], PolicyDocument=json.dumps(role["AssumeRolePolicyDocument"])
    )


def put_policy(made, role, name, action):
    client("iam").put_role_policy(RoleName=made[role], PolicyName=name, PolicyDocument=allow(action))


def expire(made):
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 30}
    client("s3").put_bucket_lifecycle_configuration(
        Bucket=made["Models"], LifecycleConfiguration={"Rules": [rule]}
    )


def attach(made):
    policy = client("iam").create_policy(PolicyName="everything", PolicyDocument=allow("*"))
    client("iam").attach_role_policy(RoleName=made["Service"], PolicyArn=policy["Policy"]["Arn"])


def hand_out_a_key(_):
    client("iam").create_user(UserName="vendor")
    client("iam").create_access_key(UserName="vendor")


def copy_aside(_):
    client("s3").create_bucket(
        Bucket="for-the-vendor",
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )


EDITS = {
    "open the bucket to everybody": open_to_everybody,
    "turn one of the four switches": lambda made: block(made, RestrictPublicBuckets=False),
    "suspend versioning": lambda made: versioning(made, "Suspended"),
    "take encryption away": lambda made: client("s3").delete_bucket_encryption(Bucket=made["Models"]),
    "trust every branch of every repository": trust_every_branch,
    "let the service write": lambda made: put_policy(made, "Service", "read-models", "s3:*"),
    "let the pipeline delete": lambda made: put_policy(made, "Continuous", "tidy", "s3:Delete*"),
    "let another account read": lambda made: let_read(made, {"AWS": "210987654321"}),
    "expire old versions": expire,
    "attach a policy to a role": attach,
    "hand a key to a vendor": hand_out_a_key,
    "make a second bucket beside it": copy_aside,
}


def noticed(edit, stack):
    """What becomes of one edit: {who: noticed or not}."""
    made = deploy(stack)
    complete(made)
    edit(made)
    before = drift(TEMPLATE, stack)
    deploy(stack, verb="update_stack")  # the same template once more, as after a merge
    return {
        "seen_declared": any(one.kind == "declared" for one in before),
        "seen_all": bool(before),
        "repaired": bool(before) and drift(TEMPLATE, stack) != before,
    }


@mock_aws
def figures():
    made = deploy()
    left_out = drift(TEMPLATE, "models")
    complete(made)
    seen = [noticed(edit, f"models-{number}") for number, edit in enumerate(EDITS.values())]
    return {
        "edits": len(EDITS),
        **{who: sum(one[who] for one in seen) for who in seen[0]},
        "unseen": sum(not one["seen_all"] for one in seen),
        "left_out": len(left_out),
        "quiet": len(drift(TEMPLATE, "models")),
    }


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))

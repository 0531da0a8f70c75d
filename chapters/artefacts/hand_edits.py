"""Deploy stack.yml into an emulated cloud, change it by calls to its API in a dozen ways, and
count which changes a comparison notices.

Run as a program it prints the counts. The cloud is moto, in this process: nothing leaves
the machine. moto implements no drift detection, and an update of a stack applies only some
properties; whether an update repairs a change is therefore asked of `REPAIRABLE` alone,
whose properties it does apply.
"""

import json
import os
from pathlib import Path

os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_DEFAULT_REGION="eu-central-1")

from moto import mock_aws

import tally
from tally.drift import ask, client, drift

TEMPLATE = (Path(tally.__file__).parent / "stack.yml").read_text()


def deploy(stack="models", verb="create_stack", template=TEMPLATE):
    """Create or update a stack; {the template's name: the physical one}."""
    cloud = client("cloudformation")
    getattr(cloud, verb)(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
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
    condition["StringLike"] = claims | {"token.actions.githubusercontent.com:sub": "repo:tally@1001/*"}
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
    """Who would notice one edit: {who: noticed or not}. Both comparisons are ours
    (drift.py)."""
    made = deploy(stack)
    complete(made)
    edit(made)
    found = drift(TEMPLATE, stack)
    return {"seen_declared": any(one.kind == "declared" for one in found), "seen_all": bool(found)}


REPAIRABLE = """
Resources:
  Champion:
    Type: AWS::SSM::Parameter
    Properties:
      Name: champion
      Type: String
      Value: a digest
      Description: which release decides
  Outcomes:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: outcomes
      VisibilityTimeout: 60
      DelaySeconds: 0
  Reader:
    Type: AWS::IAM::Role
    Properties:
      RoleName: reader
      Description: may read
      MaxSessionDuration: 3600
      AssumeRolePolicyDocument: {}
  Models:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: models
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - ServerSideEncryptionByDefault:
              SSEAlgorithm: AES256
      Tags: [{Key: owner, Value: credit}]
"""

# of each resource a property that no hand has touched: what stands there, what a commit puts there
TOUCHED = {
    "which release decides": "the release that decides",
    "DelaySeconds: 0": "DelaySeconds: 5",
    "MaxSessionDuration: 3600": "MaxSessionDuration: 7200",
    "Value: credit": "Value: risk",
}


def queue():
    return client("sqs").get_queue_url(QueueName="outcomes")["QueueUrl"]


def change_all_by_hand():
    """Change one declared property of each resource in `REPAIRABLE`."""
    client("ssm").put_parameter(Name="champion", Value="another", Type="String", Overwrite=True)
    client("sqs").set_queue_attributes(QueueUrl=queue(), Attributes={"VisibilityTimeout": "5"})
    client("iam").update_role_description(RoleName="reader", Description="may write")
    client("s3").delete_bucket_encryption(Bucket="models")


def settings():
    """What is there of those four properties."""
    waits = client("sqs").get_queue_attributes(QueueUrl=queue(), AttributeNames=["VisibilityTimeout"])
    encryption = ask(client("s3").get_bucket_encryption, "ServerSideEncryptionConfiguration", Bucket="models")
    return {
        "Champion": client("ssm").get_parameter(Name="champion")["Parameter"]["Value"],
        "Outcomes": waits["Attributes"]["VisibilityTimeout"],
        "Reader": client("iam").get_role(RoleName="reader")["Role"]["Description"],
        "Models": encryption is not None,
    }


def repaired(template, stack="control"):
    """The resources of `REPAIRABLE` that a deployment of `template` puts right after
    somebody has changed them by hand."""
    deploy(stack, template=REPAIRABLE)
    declared = settings()
    change_all_by_hand()
    by_hand = settings()
    if any(by_hand[name] == declared[name] for name in declared):
        raise RuntimeError(f"nothing to repair: {by_hand}")
    deploy(stack, verb="update_stack", template=template)
    return {name for name, value in settings().items() if value == declared[name]}


def touched(template):
    """The template after a commit that changes another property of each resource."""
    for before, after in TOUCHED.items():
        template = template.replace(before, after)
    return template


@mock_aws
def seen():
    made = deploy()
    left_out = drift(TEMPLATE, "models")
    complete(made)
    found = [noticed(edit, f"models-{number}") for number, edit in enumerate(EDITS.values())]
    return {
        "edits": len(EDITS),
        **{who: sum(one[who] for one in found) for who in found[0]},
        "unseen": sum(not one["seen_all"] for one in found),
        "left_out": len(left_out),
        "quiet": len(drift(TEMPLATE, "models")),
    }


def figures():
    with mock_aws():
        same = repaired(REPAIRABLE)
    with mock_aws():
        other = repaired(touched(REPAIRABLE))
    return seen() | {
        "settings": len(TOUCHED),
        "repaired_same": len(same),
        "repaired_touched": len(other),
    }


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))

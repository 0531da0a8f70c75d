"""Compare what a stack declares with what is there.

    python -m tally.drift stack.yml models        # prints each difference, exits with 1 if there is one

Two kinds are told apart. "Declared" differs in a property that the template names; a
cloud's own drift detection looks at these. "Undeclared" is something at the same bucket or
role that no template names. Resources that no stack made are not seen. Only S3 buckets and
IAM roles can be read; any other type is an error.
"""

import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import boto3
import yaml
from botocore.exceptions import ClientError

client = cache(boto3.client)


class Difference(NamedTuple):
    resource: str  # the template's name for it
    path: str
    declared: object  # None: the template does not say
    found: object  # None: it is not there
    kind: str


def read(template, values):
    """The template as a dictionary, with !Ref, !Sub and !GetAtt replaced from `values`."""

    class Loader(yaml.SafeLoader):
        pass

    def look_up(loader, tag, node):
        text = loader.construct_scalar(node)
        return re.sub(r"\$\{(.+?)\}", lambda m: values[m[1]], text) if tag == "Sub" else values[text]

    Loader.add_multi_constructor("!", look_up)
    return yaml.load(template, Loader)  # Loader is a SafeLoader


def ask(call, key, **arguments):
    """What `call` answers under `key`; None if the cloud says that there is no such
    setting."""
    try:
        return call(**arguments).get(key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket" or not ("NoSuch" in code or "NotFound" in code):
            raise


def document(policy):
    """A policy as a dictionary; some services answer with text."""
    return yaml.safe_load(policy) if isinstance(policy, str) else policy


def bucket(name):
    s3 = client("s3")
    rules = ask(s3.get_bucket_encryption, "ServerSideEncryptionConfiguration", Bucket=name)
    default = "ApplyServerSideEncryptionByDefault"  # the service and its template have two words for it
    return {
        "VersioningConfiguration": {"Status": ask(s3.get_bucket_versioning, "Status", Bucket=name)},
        "PublicAccessBlockConfiguration": ask(
            s3.get_public_access_block, "PublicAccessBlockConfiguration", Bucket=name
        ),
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {default.removeprefix("Apply"): rule[default]} for rule in (rules or {}).get("Rules", [])
            ]
        },
        "LifecycleConfiguration": ask(s3.get_bucket_lifecycle_configuration, "Rules", Bucket=name),
        "BucketPolicy": document(ask(s3.get_bucket_policy, "Policy", Bucket=name)),
    }


def role(name):
    iam = client("iam")
    return {
        "AssumeRolePolicyDocument": iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        "Policies": [
            {
                "PolicyName": policy,
                "PolicyDocument": document(
                    iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                ),
            }
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ],
        "ManagedPolicyArns": [
            policy["PolicyArn"]
            for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ],
    }


READERS = {"AWS::S3::Bucket": bucket, "AWS::IAM::Role": role}


def leaves(value, path=""):
    """{path: value} of all that is not a dictionary or a list; policies go by their
    names, not by position."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = ((v.get("PolicyName", i) if isinstance(v, dict) else i, v) for i, v in enumerate(value))
    else:
        return {} if value is None else {path: value}
    return {deep: leaf for key, part in parts for deep, leaf in leaves(part, f"{path}/{key}").items()}


def compare(name, said, there):
    """The differences at one resource, between its declared properties and what was
    read."""
    before, now = leaves(said), leaves(there)
    for path in sorted(before | now):
        if before.get(path) != now.get(path):
            kind = "declared" if path.split("/")[1] in said else "undeclared"
            yield Difference(name, path, before.get(path), now.get(path), kind)


def drift(template, stack):
    """The differences between a template's text and the stack of that name."""
    cloud = client("cloudformation")
    account = client("sts").get_caller_identity()["Account"]
    values = {"AWS::AccountId": account, "AWS::Partition": "aws"}
    [given] = cloud.describe_stacks(StackName=stack)["Stacks"]
    for parameter in given.get("Parameters", []):
        values[parameter["ParameterKey"]] = parameter["ParameterValue"]
    made = cloud.describe_stack_resources(StackName=stack)["StackResources"]
    for one in made:
        name, physical = one["LogicalResourceId"], one["PhysicalResourceId"]
        values[name] = physical
        values[f"{name}.Arn"] = f"arn:aws:s3:::{physical}"  # asked of buckets only
    declared = read(template.partition("\nOutputs:")[0], values)["Resources"]

    differences = []
    for one in made:
        name, kind = one["LogicalResourceId"], one["ResourceType"]
        if kind not in READERS:
            raise NotImplementedError(f"{name}: cannot read {kind}")
        try:
            there = READERS[kind](one["PhysicalResourceId"])
        except ClientError as error:
            gone = error.response["Error"]["Code"]
            differences.append(Difference(name, "/", "exists", gone, "declared"))
        else:
            differences += compare(name, declared.get(name, {}).get("Properties", {}), there)
    return differences


if __name__ == "__main__":
    found = drift(Path(sys.argv[1]).read_text(), sys.argv[2])
    print(*(f"{d.kind:10} {d.resource}{d.path}: {d.declared} -> {d.found}" for d in found), sep="\n")
    sys.exit(bool(found))

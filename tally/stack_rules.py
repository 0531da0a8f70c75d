"""Say no to a template that is legal and unsafe.

    python -m tally.stack_rules stack.yml        # prints each reason, exits with 1 if there is one

The rules are the lender's own: what a linter passes because the cloud would accept it. Buckets, roles
and users are judged; what has another type is not.
"""

import sys
from pathlib import Path

from cfnlint.decode import decode_str

SWITCHES = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
ISSUER = "token.actions.githubusercontent.com"
ONE_POD = {f"aws:RequestTag/kubernetes-{what}" for what in ("namespace", "service-account")}


def as_list(value):
    return value if isinstance(value, list) else [value]


def refused(text):
    """The reasons for which a template's text is not accepted; none, when it is."""
    resources = decode_str(text)[0]["Resources"]
    return [
        f"{name}: {reason}"
        for name, resource in resources.items()
        for reason in RULES.get(resource["Type"], lambda _: [])(resource)
    ]


def bucket(resource):
    said = resource.get("Properties", {})
    block = said.get("PublicAccessBlockConfiguration", {})
    if not all(block.get(switch) is True for switch in SWITCHES):
        yield "anybody could be let in"
    if said.get("VersioningConfiguration", {}).get("Status") != "Enabled":
        yield "what is overwritten is gone"
    if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
        yield "the models go with the stack"


def role(resource):
    said = resource["Properties"]
    for statement in as_list(said["AssumeRolePolicyDocument"]["Statement"]):
        whom = statement.get("Principal", {})
        claims = set(statement.get("Condition", {}).get("StringEquals", {}))
        if "Federated" in whom and {f"{ISSUER}:aud", f"{ISSUER}:sub"} - claims:
            yield "more than one repository and branch may become this role"
        if whom.get("Service") == "pods.eks.amazonaws.com" and ONE_POD - claims:
            yield "more than one service account may become this role"
    if said.get("ManagedPolicyArns"):
        yield "its rights are written elsewhere"
    for policy in said.get("Policies", []):
        for statement in as_list(policy["PolicyDocument"]["Statement"]):
            if any("*" in action for action in as_list(statement["Action"])):
                yield f"{policy['PolicyName']} allows a star"
            if "*" in as_list(statement["Resource"]):
                yield f"{policy['PolicyName']} reaches every bucket"


def user(_):
    yield "a person or a program would hold a key"


RULES = {"AWS::S3::Bucket": bucket, "AWS::IAM::Role": role, "AWS::IAM::User": user}


if __name__ == "__main__":
    reasons = refused(Path(sys.argv[1]).read_text())
    print(*reasons, sep="\n")
    sys.exit(bool(reasons))

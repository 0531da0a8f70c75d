"""Say no to a template that is legal and unsafe: `refused` lists the reasons.

Run as a program it plants faults in stack.yml and counts which of them cfn-lint and which
these rules refuse.
"""

import json
from pathlib import Path

from cfnlint.api import ManualArgs, lint
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

FAULTS = {  # what stands in stack.yml: what somebody writes instead
    "a word that does not exist": ("Status: Enabled", "Status: Enable"),
    "a property that does not exist": ("BlockPublicAcls:", "BlockPublicAcl:"),
    "a name that nobody made": ("!GetAtt Service.Arn", "!GetAtt Services.Arn"),
    "a resource without its type": ("    Type: AWS::S3::Bucket\n", ""),
    "a switch turned": ("RestrictPublicBuckets: true", "RestrictPublicBuckets: false"),
    "versioning suspended": ("Status: Enabled", "Status: Suspended"),
    "the models go with the stack": ("    DeletionPolicy: Retain", "    DeletionPolicy: Delete"),
    "any repository's branch": ("StringEquals:", "StringLike:"),
    "no branch asked for": (
        f"                {ISSUER}:sub: !Sub\n                  repo:${{Repository}}:ref:refs/heads/${{Branch}}\n",
        "",
    ),
    "any namespace": ("                aws:RequestTag/kubernetes-namespace: credit\n", ""),
    "a star for the service": ("Action: s3:GetObject", 'Action: "s3:*"'),
    "every bucket of the account": ('Resource: !Sub "${Models.Arn}/*"', 'Resource: "*"'),
    "a user with a key": (
        "Outputs:\n",
        "  Vendor:\n    Type: AWS::IAM::User\n\nOutputs:\n",
    ),
}


def planted(fault):
    """The text of stack.yml with one fault in it; ValueError if there is nothing to put
    it in place of."""
    text = (Path(__file__).parent / "stack.yml").read_text()
    right, wrong = FAULTS[fault]
    if right not in text:
        raise ValueError(f"{fault}: stack.yml does not say {right!r}")
    return text.replace(right, wrong, 1)


def linted(text):
    """What cfn-lint says, as it does without options."""
    return [match.message for match in lint(text, config=ManualArgs(regions=["eu-central-1"]))]


def ruled(text):
    """Whether these rules refuse it; a text that cannot be judged is refused."""
    try:
        return bool(refused(text))
    except (KeyError, TypeError):
        return True


def figures():
    texts = [planted(fault) for fault in FAULTS]
    by_linter, by_rules = [bool(linted(text)) for text in texts], [ruled(text) for text in texts]
    return {
        "faults": len(texts),
        "linter": sum(by_linter),
        "rules": sum(by_rules),
        "either": sum(a or b for a, b in zip(by_linter, by_rules, strict=True)),
        "both": sum(a and b for a, b in zip(by_linter, by_rules, strict=True)),
    }


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))

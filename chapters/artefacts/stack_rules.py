"""Plant faults in the lender's stack.yml and count which of them cfn-lint and which the lender's rules refuse."""

import json
from pathlib import Path

from cfnlint.api import ManualArgs, lint

import tally
from tally.stack_rules import ISSUER, refused

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
    text = (Path(tally.__file__).parent / "stack.yml").read_text()
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

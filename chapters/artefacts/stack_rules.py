"""Say no to a template that is legal and unsafe: `refused` lists the reasons.

Run as a program it plants faults in stack.yml and counts which of them cfn-lint and these rules refuse.
"""

import json
from pathlib import Path

import yaml
from cfnlint import decode, runner  # noqa: F401

"""Our own workflow is well formed, safe, and uses the verbs of the README."""

import json
import os
import subprocess
import sys
from pathlib import Path

import platforms
import yaml
from conftest import LABS, ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
BIN = Path(sys.executable).parent


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})


def test_the_workflow_is_well_formed():
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    assert done.returncode == 0, done.stdout


def test_the_workflow_is_safe():
    done = run(BIN / "zizmor", "--offline", "--persona", "pedantic", WORKFLOW)
    assert done.returncode == 0, done.stdout


def test_ci_uses_the_two_verbs():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    for job in ("prove", "newest"):
        commands = [step["run"] for step in jobs[job]["steps"] if "run" in step]
        assert commands[-1] == ".ci/run"
        assert commands[-2] in ("make book", "make pdf epub book")
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_only_the_newest_releases_may_fail_alone():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert [name for name, job in jobs.items() if job.get("continue-on-error")] == ["newest"]
    assert not any("newest" in str(job.get("needs", "")) for job in jobs.values())


def test_every_promised_system_installs_the_course_and_runs_the_same_labs():
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["desks"]
    matrix = job["strategy"]["matrix"]
    systems = {*matrix["system"], *(case["system"] for case in matrix["include"])}
    assert {system.partition("-")[0] for system in systems} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == list(platforms.PYTHONS)
    tried = [step["run"].split()[2:] for step in job["steps"] if "try_labs" in step.get("run", "")]
    assert len(tried) == 2 and tried[0] == tried[1]
    assert set(tried[0]) <= {lab.stem for lab in LABS}


def test_the_book_is_built_by_make_wherever_make_is_promised():
    job = yaml.safe_load(WORKFLOW.read_text())["jobs"]["desks"]
    [step] = [step for step in job["steps"] if step.get("run") == "make book"]
    assert step["if"] == "runner.os != 'Windows'"
    before = [other.get("run") for other in job["steps"][: job["steps"].index(step)]]
    assert "python scripts/environment.py" in before


def test_the_dev_container_uses_a_verb():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"].split(" && ")[-1] == "make book"
    assert "bookworm" in container["image"]

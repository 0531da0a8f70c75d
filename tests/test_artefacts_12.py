"""What chapter 12 shows as worked: each is run, and each guard says no to the fault that it is there for."""

import subprocess
import sys
import time
from ast import literal_eval
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent

# The script to repair


def test_the_script_to_repair_is_the_lab_s():
    lab = nbformat.read(ROOT / "labs" / "12_shell_and_git.ipynb", as_version=4)
    script = literal_eval(next(cell.source for cell in lab.cells if cell.id == "found").partition(" = ")[2])
    assert (ARTEFACTS / "publish_to_repair.sh").read_text() == script


# Types of columns


def test_text_takes_several_times_the_memory_of_a_category(applications):
    text = applications.region.astype(object).memory_usage(index=False, deep=True)
    assert text > 20 * applications.region.memory_usage(index=False, deep=True)


def test_a_loop_over_rows_is_slower_by_more_than_a_factor_of_ten(applications):
    some = applications[:20_000]
    before = time.perf_counter()
    by_row = some.apply(lambda row: row.basket / row.income, axis=1)
    between = time.perf_counter()
    at_once = some.basket / some.income
    after = time.perf_counter()
    assert by_row.equals(at_once)
    assert between - before > 10 * (after - between)


# The manifest


@pytest.fixture(params=["manifest_to_read.yml", "manifest_repaired.yml"])
def container(request):
    manifest = yaml.safe_load((ARTEFACTS / request.param).read_text())
    assert manifest["spec"]["selector"]["matchLabels"] == manifest["spec"]["template"]["metadata"]["labels"]
    return request.param, manifest["spec"]["template"]["spec"]["containers"][0]


def test_the_schema_likes_both_manifests(container):
    done = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", ARTEFACTS / container[0]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def faults(container, seconds_to_load=90):
    """What a reader finds and the schema does not."""
    first = container.get("startupProbe", container["livenessProbe"])
    patience = first["periodSeconds"] * first["failureThreshold"]
    found = {
        "image": "@sha256:" not in container["image"],
        "secret": any("value" in variable for variable in container["env"]),
        "memory": "memory" not in container["resources"].get("limits", {}),
        "start": patience < 1.5 * seconds_to_load,
        "ready": "readinessProbe" not in container,
    }
    return {name for name, wrong in found.items() if wrong}


def test_a_reader_finds_five_faults_and_none_after_the_repair(container):
    name, what = container
    assert faults(what) == (
        {"image", "secret", "memory", "start", "ready"} if name == "manifest_to_read.yml" else set()
    )

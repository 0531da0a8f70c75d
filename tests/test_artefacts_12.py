"""The tools of chapter 12: each is run as it would be at night, on a day that goes wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from conftest import ROOT
from publish_nights import FOUND, NIGHTS, REPAIRED, TONIGHT, YESTERDAY, run, source, stages

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent
TOOLS = ["bash", "curl", "flock", "sha256sum"]
needs_shell = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"the scripts need {', '.join(TOOLS)}"
)


# Publish a file: publish.sh


def linted(script, *options):
    done = subprocess.run(
        [BIN / "shellcheck", "--format", "gcc", *options, script], capture_output=True, text=True
    )
    return done.returncode, set(re.findall(r"\[(SC\d+)\]", done.stdout))


def test_the_linter_names_two_faults_of_the_script_and_none_of_the_repaired_one(tmp_path):
    assert linted(FOUND) == (1, {"SC2086", "SC2155"})
    assert linted(REPAIRED) == (0, set())
    assert linted(dict(stages(tmp_path))["linted"])[0] == 0, "what is repaired by the linter satisfies it"


def test_that_set_e_is_off_is_said_only_by_a_check_that_is_off():
    assert "SC2310" in linted(FOUND, "--enable", "check-set-e-suppressed")[1]


@needs_shell
@pytest.mark.parametrize(
    ("night", "code"),
    {
        "an error page": 4,
        "the line breaks": 4,
        "nobody answers": 4,
        "the export broke off": 5,
        "no rows": 5,
    }.items(),
)
def test_the_repaired_script_refuses_and_leaves_yesterdays_file(night, code):
    assert run(FOUND, night)[0] == [0], "the script as it was found said OK"
    assert YESTERDAY not in run(FOUND, night)[1], "and had overwritten the file"
    assert run(REPAIRED, night) == ([code], {YESTERDAY})


@needs_shell
@pytest.mark.parametrize("night", ["good", "a space in the shelf's name"])
def test_the_repaired_script_publishes(night):
    assert run(REPAIRED, night) == ([0], {TONIGHT})


@needs_shell
def test_a_till_reads_yesterdays_file_or_tonights():
    assert run(REPAIRED, "a till reads meanwhile") == ([0], {YESTERDAY, TONIGHT})
    assert not run(FOUND, "a till reads meanwhile")[1] <= {YESTERDAY, TONIGHT}


@needs_shell
def test_the_second_of_two_runs_is_sent_away():
    assert run(REPAIRED, "two runs") == ([0, 3], {YESTERDAY, TONIGHT})


@needs_shell
def test_what_the_sender_counted_wrongly_is_published():
    assert run(REPAIRED, "yesterday's file") == ([0], {YESTERDAY}), "a checksum knows no date"


@needs_shell
def test_a_dry_run_fetches_and_checks_and_changes_nothing():
    assert run(REPAIRED, "good", "--dry-run") == ([0], {YESTERDAY})
    assert run(REPAIRED, "the export broke off", "--dry-run") == ([5], {YESTERDAY})


@needs_shell
@pytest.mark.parametrize("call", [[], ["http://127.0.0.1:1"], ["http://127.0.0.1:1", "/no/such/folder"]])
def test_a_wrong_call_says_what_a_right_one_is(call):
    done = subprocess.run(["bash", REPAIRED, *call], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage" in done.stderr or "/no/such/folder" in done.stderr


@needs_shell
def test_whoever_stops_it_leaves_the_shelf_as_it_was(tmp_path):
    read = tmp_path / "histories.csv"
    read.write_bytes(YESTERDAY)
    with source("a till reads meanwhile") as (url, _):
        job = subprocess.Popen(["bash", REPAIRED, url, tmp_path], start_new_session=True)
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob(".work.*/histories.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(job.pid, 15)
        assert job.wait(20) != 0
    assert read.read_bytes() == YESTERDAY
    assert not list(tmp_path.glob(".work.*"))


def test_the_nights_are_nine_and_a_good_one():
    assert len(NIGHTS) == 10




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


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():

"""What the hands-on questions show as worked: it runs, and it does what is said of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from drift_detector import DriftDetector
from time_split import splits

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def applications():
    return pd.read_parquet(ROOT / "data" / "applications.parquet")


def test_every_artefact_is_shown_in_a_chapter():
    text = "".join(chapter.read_text() for chapter in (ROOT / "chapters").glob("*.md"))
    assert not [
        path.name for path in ARTEFACTS.iterdir() if path.is_file() and f"artefacts/{path.name}" not in text
    ]


# Write a drift detector


@pytest.mark.parametrize("rows", [60, 200, 1000, 20_000])
def test_quiet_windows_ring_no_more_often_than_stated(rows):
    rng = np.random.default_rng(7)

    def rings():  # with a reference of its own each time: a lucky one would be lucky every day
        detector = DriftDetector(rng.lognormal(size=2000), worth_knowing=0.0, false_alarms=0.05)
        return detector.check(rng.lognormal(size=rows))[0]

    rate = np.mean([rings() for _ in range(400)])
    assert rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert rate > 0.01, "it would be as useless if it never rang"


def test_a_change_too_small_to_matter_stays_silent():
    rng = np.random.default_rng(7)
    baskets = rng.lognormal(size=200_000)
    alarm, psi, limit = DriftDetector(baskets[:100_000]).check(1.02 * baskets[100_000:])
    assert psi > limit and not alarm, "certain, and not worth a call"


def test_the_unit_bug_of_the_story_rings_on_its_first_day(applications):
    day = applications.applied_at.dt.normalize()
    event = pd.read_csv(ROOT / "data" / "events.csv", parse_dates=["first_day"], index_col="event").loc[
        "unit_bug"
    ]
    before = applications[day.between("2024-07-01", "2024-10-31")]
    detector = DriftDetector(before.income)
    assert detector.check(applications[day == event.first_day].income)[0]
    assert not detector.check(before.income[before.applied_at.dt.month == 9])[0]


def test_missing_values_are_a_difference_too():
    values = np.random.default_rng(7).normal(size=4000)
    half = np.where(np.arange(2000) % 2, np.nan, values[2000:])
    assert DriftDetector(values[:2000]).check(half)[0]


def test_equal_values_and_short_windows_are_met():
    assert not DriftDetector(np.zeros(1000)).check(np.zeros(100))[0]
    with pytest.raises(ValueError, match="longer window"):
        DriftDetector(np.arange(1000.0)).check(np.arange(20.0))


# Write the split


def test_training_holds_only_what_was_known_that_day(applications):
    starts = pd.date_range("2024-06-01", "2025-06-01", freq="MS")
    for start, (training, validation) in zip(starts, splits(applications, starts), strict=True):
        assert applications.label_known_at.iloc[training].max() < start
        assert applications.applied_at.iloc[validation].min() >= start
        assert (applications.applied_at.iloc[validation] < start + pd.Timedelta("28D")).all()


def test_strangers_are_strangers_and_others_return(applications):
    [(training, strangers)] = splits(applications, ["2025-01-01"], strangers_only=True)
    [(_, everybody)] = splits(applications, ["2025-01-01"])
    known = set(applications.customer_id.iloc[training])
    assert not known & set(applications.customer_id.iloc[strangers])
    assert set(strangers) < set(everybody)


def test_a_day_without_labels_is_an_error_that_names_it(applications):
    with pytest.raises(ValueError, match="10 January 2024"):
        list(splits(applications, ["2024-01-10"]))


# Repair the workflow


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})


def test_both_workflows_are_well_formed():
    for name in ("workflow_to_repair.yml", "workflow_repaired.yml"):
        done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", ARTEFACTS / name)
        assert done.returncode == 0, done.stdout


def test_the_linter_finds_what_strangers_could_use_and_nothing_after_the_repair():
    before = run(BIN / "zizmor", "--offline", ARTEFACTS / "workflow_to_repair.yml")
    for fault in ("dangerous-triggers", "template-injection", "unpinned-uses"):
        assert fault in before.stdout
    after = run(BIN / "zizmor", "--offline", "--persona", "pedantic", ARTEFACTS / "workflow_repaired.yml")
    assert after.returncode == 0, after.stdout


# The model card

SECTIONS = [  # of Mitchell and others, in their order
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]
RECORDED = {  # the key in lab 4.3, how the card writes it
    "auc_champion": ".3f",
    "profit_right": ".2f",
    "profit_half": ".2f",
    "approved_champion": ".0%",
    "slice_limit": ".1f",
    "training_rows": ",d",
    "trial_rows": ",d",
    "rows_old": ",d",
    "rows_young": ",d",
    "rows_big": ",d",
    "seconds_change": "d",
    "region_change": "d",
    "saved_by_debt": "d",
    "slices": "d",
    "cutoff": ".1f",
} | {f"good_declined_{group}": ".0%" for group in ("young", "26", "41", "old")}
RECORDED |= {
    f"gap{side}_{slice}": "+.3f" for side in ("", "_from", "_to") for slice in ("old", "young", "big")
}
CHOSEN = {"0.2", "40 %", "95 %"}  # a learning rate, how much quicker the trial's checkouts are, a level


@pytest.fixture(scope="module")
def card():
    return (ARTEFACTS / "model_card.md").read_text()


@pytest.fixture(scope="module")
def record():
    lab = nbformat.read(ROOT / "labs" / "04_model_testing.ipynb", as_version=4)
    outputs = [output for cell in lab.cells for output in cell.get("outputs", [])]
    return {
        scrap["name"].removeprefix("testing."): float(next(iter(output.data.values())))
        for output in outputs
        if (scrap := output.get("metadata", {}).get("scrapbook"))
    }


def written(value, how):
    return format(int(value) if how.endswith("d") else value, how).replace("%", " %")


def test_the_card_has_the_sections_of_the_paper_and_none_is_empty(card):
    parts = re.split(r"^## (.+)$", card, flags=re.M)[1:]
    assert parts[::2] == SECTIONS
    assert not [name for name, text in zip(parts[::2], parts[1::2], strict=True) if len(text.split()) < 25]


def test_every_figure_of_the_card_is_the_labs(card, record):
    figures = {key: written(record[key], how) for key, how in RECORDED.items()}
    figures["profit_all"] = written(-record["profit_all"], ".2f")  # "would lose"
    assert not {
        key: figure
        for key, figure in figures.items()
        if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d,])", card)
    }
    measured = set(re.findall(r"(?<!Lab )(?<![\d.,])[+-]?\d+(?:\.\d+|,\d{3}| %)", card))
    assert measured <= set(figures.values()) | CHOSEN, "nobody measured it"

"""What the hands-on questions show as worked: it runs, and it does what is said of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from drift_detector import DriftDetector
from incident_prices import price
from model_identity import identity
from partial_pooling import partly_pooled
from time_split import splits

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent


def test_every_artefact_is_shown_on_a_page():
    text = "".join(
        page.read_text() for part in ("chapters", "workshop") for page in (ROOT / part).glob("*.md")
    )
    shown = {path for path in ARTEFACTS.rglob("*") if path.is_file() and path.suffix not in (".json", ".pyc")}
    assert not [
        name for path in shown if f"artefacts/{(name := path.relative_to(ARTEFACTS).as_posix())}" not in text
    ]


@pytest.mark.parametrize("figures", sorted(ARTEFACTS.glob("*.json")), ids=lambda path: path.stem)
def test_figures_in_the_text_are_what_the_artefact_prints(figures):
    program = figures.with_suffix(".py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=ROOT)
    if done.returncode == 69:  # EX_UNAVAILABLE of sysexits.h: it needs a tool that is not here
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(json.loads(figures.read_text()), rel=1e-6), (
        f"run: python {program.relative_to(ROOT)} > {figures.relative_to(ROOT)}, and read the chapter again"
    )


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
        DriftDetector(np.arange(1000.0)).check(np.arange(19.0))


# Name a model


@pytest.fixture
def four_things(applications):
    return {
        "tree": "4f1c2aa",
        "changes": "",
        "rows": applications.iloc[:5000],
        "recipe": {"seed": 1, "trees": 100},
        "lock": "numpy==2.4.6\nscikit-learn==1.9.1\n",
    }


def test_the_same_four_things_have_one_name(four_things):
    again = four_things | {
        "rows": four_things["rows"].copy().set_axis(range(9000, 14_000)),
        "recipe": {"trees": 100, "seed": 1},
    }
    assert identity(**again) == identity(**four_things)


def test_each_of_the_four_changes_the_name_alone(four_things):
    rows = four_things["rows"]
    touched = rows.copy()
    touched.iloc[2500, touched.columns.get_loc("income")] += 1
    others = [
        {"tree": "4f1c2ab"},
        {"rows": touched},
        {"rows": rows.iloc[::-1]},
        {"rows": rows.rename(columns={"income": "wealth"})},
        {"rows": rows.iloc[:-1]},
        {"recipe": {"seed": 2, "trees": 100}},
        {"lock": "numpy==2.4.6\nscikit-learn==0.21\n"},
    ]
    names = {identity(**four_things | other) for other in others} | {identity(**four_things)}
    assert len(names) == 1 + len(others)


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"changes": " M model.py"}, "not committed"), ({"recipe": {"trees": 100}}, "without a seed")],
)
def test_a_model_that_could_not_be_made_again_gets_no_name(four_things, changed, said):
    with pytest.raises(ValueError, match=said):
        identity(**four_things | changed)


def test_a_tag_leaves_the_name_and_a_module_that_nobody_added_refuses_it(four_things, tmp_path):
    """On a real repository; `git describe --always --dirty`, often used for this, does neither."""

    def git(*words):
        who = ["-c", "user.name=Ines", "-c", "user.email=ines@tally.example", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    def name():
        code = {
            "tree": git("rev-parse", "HEAD^{tree}"),
            "changes": git("status", "--porcelain", "--untracked-files=all"),
        }
        return identity(**four_things | code)

    def described():
        return git("describe", "--always", "--dirty")

    git("init", "--quiet")
    (tmp_path / "model.py").write_text("import helper\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "Decide by a random forest")
    before, described_before = name(), described()

    git("tag", "--annotate", "v1", "--message", "released")
    git("commit", "--quiet", "--amend", "--message", "Decide by a forest")
    git("tag", "--annotate", "v2", "--message", "released")
    assert name() == before
    assert described() != described_before

    described_tagged = described()
    (tmp_path / "helper.py").write_text("trees = 10\n")
    with pytest.raises(ValueError, match="helper"):
        name()
    assert described() == described_tagged

    git("add", ".")
    git("commit", "--quiet", "--message", "Add the helper")
    assert name() != before


# Partly pooled


def shops(seed, k, sizes):
    """The true rates of shops (mean 0.83; the larger `k`, the more alike), and counts drawn from them."""
    rng = np.random.default_rng(seed)
    rates = rng.beta(0.83 * k, 0.17 * k, size=len(sizes))
    return rates, pd.DataFrame({"labels": sizes, "repaid": rng.binomial(sizes, rates)})


def test_partly_pooled_rates_beat_both_the_shop_s_own_and_that_of_all():
    sizes = np.repeat([50, 200, 1_000, 20_000], 10)
    errors = []
    for seed in range(100):
        rates, counts = shops(seed, 200, sizes)
        own, common = counts.repaid / counts.labels, counts.repaid.sum() / counts.labels.sum()
        errors.append([(guess - rates) ** 2 for guess in (partly_pooled(counts), own, common)])
    partly, own, common = np.mean(errors, axis=0)
    small, large = sizes == 50, sizes == 20_000
    assert (
        partly[small].mean() < 0.5 * own[small].mean() and partly[small].mean() < 0.95 * common[small].mean()
    )
    assert (
        partly[large].mean() < 1.05 * own[large].mean() and partly[large].mean() < 0.1 * common[large].mean()
    )


def test_fifty_labels_weigh_a_fifth_where_shops_differ_as_the_chapter_supposes():
    _, counts = shops(1, 200, np.repeat([50, 1_000], 1_000))
    own, common = counts.repaid / counts.labels, counts.repaid.sum() / counts.labels.sum()
    weight = ((partly_pooled(counts) - common) / (own - common))[counts.labels == 50]
    assert weight.median() == pytest.approx(50 / (50 + 200), abs=0.02)


def test_shops_that_are_alike_get_one_rate_and_shops_that_are_not_keep_theirs():
    _, alike = shops(3, 1e9, np.repeat(200, 400))
    _, unlike = shops(3, 1, np.repeat(200, 400))
    for counts, kept in ((alike, (0, 0.2)), (unlike, (0.98, 1))):
        own = counts.repaid / counts.labels
        assert kept[0] <= partly_pooled(counts).std() / own.std() <= kept[1]


def test_a_shop_without_labels_gets_the_rate_of_all():
    counts = pd.DataFrame({"labels": [1_000, 1_000, 0], "repaid": [700, 900, 0]})
    assert partly_pooled(counts)[2] == pytest.approx(0.8)
    assert partly_pooled(counts)[0] == pytest.approx(0.7, abs=0.01)
    one_each = pd.DataFrame(
        {"labels": [1, 1], "repaid": [0, 1]}
    )  # from which nobody can tell how shops differ
    assert partly_pooled(one_each).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("repaid", [[-1, 5], [11, 5]])
def test_counts_that_make_no_sense_are_refused(repaid):
    with pytest.raises(ValueError, match="repaid <= labels"):
        partly_pooled(pd.DataFrame({"labels": [10, 10], "repaid": repaid}))


def test_where_everybody_repaid_every_shop_has_that_rate():
    assert partly_pooled(pd.DataFrame({"labels": [10, 20], "repaid": [10, 20]})).tolist() == [1, 1]


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


# Price the incidents


@pytest.fixture
def incidents():
    return pd.DataFrame(
        {
            "place": ["data in", "data in", "the world"],
            "euros_a_day": [900, 600, 900],
            "began": pd.to_datetime(["2025-03-01", "2025-05-01", "2025-06-09"]),
            "seen": pd.to_datetime(["2025-03-01T12", "2025-05-01T00", "2025-07-26T00"]),
            "stopped": pd.to_datetime(["2025-03-02T12", "2025-05-03T00", "2025-08-04T00"]),
        }
    )


def test_a_place_costs_what_one_adds_up_by_hand_and_silence_counts_more_than_tickets(incidents):
    lost = price(incidents)
    assert list(lost.index) == ["the world", "data in"], "two tickets there, and one silence here"
    assert lost.loc["data in"].to_dict() == {"unseen": 450, "seen": 900 + 1200}
    assert lost.loc["the world"].to_dict() == {"unseen": 47 * 900, "seen": 9 * 900}


def test_an_open_incident_is_not_free(incidents):
    incidents.loc[2, "stopped"] = pd.NaT
    with pytest.raises(ValueError, match="still open"):
        price(incidents)


def test_a_log_written_at_night_is_not_believed(incidents):
    incidents.loc[0, "seen"] = pd.Timestamp("2025-02-28")
    with pytest.raises(ValueError, match="order"):
        price(incidents)


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

"""What the hands-on questions show as worked: it runs, and it does what is said of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import LABS, ROOT
from data_contract import CONTRACT, broken
from drift_detector import DriftDetector
from incident_prices import price
from model_identity import identity
from time_split import splits

ARTEFACTS = ROOT / "chapters" / "artefacts"
BIN = Path(sys.executable).parent


def test_every_artefact_is_shown_in_a_chapter():
    text = "".join(chapter.read_text() for chapter in (ROOT / "chapters").glob("*.md"))
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
        "commit": "4f1c2aa",
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
        {"commit": "4f1c2ab"},
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
    [({"commit": "4f1c2aa-dirty"}, "not committed"), ({"recipe": {"trees": 100}}, "without a seed")],
)
def test_a_model_that_could_not_be_made_again_gets_no_name(four_things, changed, said):
    with pytest.raises(ValueError, match=said):
        identity(**four_things | changed)


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


# The contract, and the pages that a team adopts


@pytest.fixture(scope="module")
def glued():
    """What the labs recorded for the prose: {key: value}."""
    outputs = [
        output
        for lab in LABS
        for cell in json.loads(lab.read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    return {
        output["metadata"]["scrapbook"]["name"]: next(iter(output["data"].values()))
        for output in outputs
        if "scrapbook" in output.get("metadata", {})
    }


UNIT = "income: income of a year, by channel"
ROUND = "income: whole hundreds, as the form offers them"
BUG = pd.date_range("2025-04-14", "2025-04-27").strftime("%Y-%m-%d")


def by_day(applications):
    return applications.groupby(applications.applied_at.dt.strftime("%Y-%m-%d"))


def test_the_contract_refuses_the_weeks_of_the_unit_bug_and_no_other(applications):
    weeks = applications.groupby(applications.applied_at.dt.to_period("W-SUN"))
    refused = {str(week.start_time.date()): said for week, rows in weeks if (said := broken(rows))}
    assert refused == {"2025-04-14": [UNIT, ROUND], "2025-04-21": [UNIT, ROUND]}


def test_the_contract_refuses_the_days_of_the_unit_bug_and_no_other(applications):
    spring = applications[
        applications.applied_at.between("2025-02-01", "2025-06-01")
    ]  # the campaign is in it
    assert [day for day, rows in by_day(spring) if broken(rows)] == list(BUG)


def test_the_unit_is_seen_without_odd_incomes(applications):
    monday = by_day(applications).get_group(BUG[0])
    assert broken(monday.assign(income=monday.income.round(-2))) == [UNIT]


def test_a_tenth_of_the_tills_breaks_the_clause_of_the_row_only(applications):
    day = by_day(applications).get_group("2025-04-13").copy()
    tills = day.index[day.channel == "till"][::10]
    day.loc[tills, "income"] = (day.income[tills] / 12).round().astype(day.income.dtype)
    assert broken(day) == [ROUND]


def test_text_in_a_number_does_not_hide_what_else_is_wrong(applications):
    day = by_day(applications).get_group("2025-04-13").assign(basket=lambda rows: rows.basket.astype(object))
    day.iloc[0, day.columns.get_loc("basket")] = "12,50"
    day.iloc[1, day.columns.get_loc("basket")] = -5.0
    assert {"basket: in_range(1, 5000)", "basket: not_nullable"} == set(broken(day))


def test_no_rows_are_no_kept_contract(applications):
    assert broken(applications[:0]) == ["day: a day has rows"]


def test_the_contract_names_each_column_that_the_shops_send(applications):
    sent = set(applications.loc[:, "application_id":"region"])
    assert set(CONTRACT.columns) == sent - {"customer_id", "applied_at"}


def table(path, after="# "):
    """The rows of the first table of a Markdown file that stands below the heading `after`."""
    lines = path.read_text().partition(after)[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return pd.DataFrame(rows[2:], columns=rows[0])


def test_one_answers_for_each_duty_and_somebody_does_it():
    duties = table(ARTEFACTS / "raci.md").set_index("What").map(str.split)
    assert set(duties.stack().explode().dropna()) <= set("RACI")
    for duty, roles in duties.iterrows():
        assert roles.explode().tolist().count("A") == 1, duty
        assert "R" in roles.explode().tolist(), duty
    answers = duties.map(lambda roles: "A" in roles).sum()
    assert answers.between(1, len(duties) / 2).all(), "who answers for everything, or for nothing, is no role"


@pytest.mark.parametrize("name", ["runbook.md", "post_mortem.md", "launch_checklist.md"])
def test_a_page_names_only_what_is_there(name):
    text = (ARTEFACTS / name).read_text()
    assert [] == [path for path in re.findall(r"[\w.]+(?:/[\w.]+)+", text) if not (ROOT / path).exists()]
    verbs = re.findall(r"`make (\w+)", text)
    assert set(verbs) <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for functions, lab in re.findall(r"((?:`\w+` and )?`\w+`)\s(?:of|as)\s`(labs/\w+\.ipynb)`", text):
        for function in re.findall(r"\w+(?=`)", functions):
            assert f"def {function}(" in (ROOT / lab).read_text(), (function, lab)


def test_the_commands_of_the_runbook_end_as_it_says():
    commands = re.findall(r"^ +\$ (.+?) +# (\d)$", (ARTEFACTS / "runbook.md").read_text(), re.M)
    assert {code for _, code in commands} == {"0", "1"}
    for command, code in commands:
        done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == int(code), done.stderr
        assert "Traceback" not in done.stderr


def test_a_section_of_the_runbook_is_an_alarm_and_what_to_do():
    sections = (ARTEFACTS / "runbook.md").read_text().split("\n## ")[1:-1]
    assert len(sections) == 5 and all("\n- " in section or "You may" in section for section in sections)


def test_a_figure_of_the_post_mortem_is_in_the_record_it_names(glued):
    text = (ARTEFACTS / "post_mortem.md").read_text()
    quoted = re.findall(r"([\d.,]+) \[(\w+\.\w+)\]", text)
    assert len(quoted) == text.count("[") >= 10
    for figure, key in quoted:
        value = float(figure.replace(",", ""))
        digits = len(figure.partition(".")[2])
        assert value == round(float(glued[key]), digits), (figure, key)
    rest = re.sub(r"[\d.,]+ \[\w+\.\w+\]", "", text)
    assert not re.findall(r"\d+[.,]\d+|\d+ ?%", rest), "a figure without its record"


def test_what_the_post_mortem_changes_has_a_name_and_a_day():
    changes = table(ARTEFACTS / "post_mortem.md", after="## What changes")
    assert pd.to_datetime(changes.Until, format="%Y-%m-%d").notna().all()
    assert (changes.Who != "").all() and len(changes) >= 5


def test_a_ticked_line_has_a_proof_and_an_open_one_a_day():
    lines = table(ARTEFACTS / "launch_checklist.md")
    ticked = lines.Done == "[x]"
    assert (ticked | (lines.Done == "[ ]")).all() and ticked.any() and not ticked.all()
    assert lines.Proof[ticked].str.match(r"`[\w./]+`$").all()
    assert pd.to_datetime(lines.Until[~ticked], format="%Y-%m-%d").notna().all()
    assert (lines.Owner != "").all()


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
def record(glued):
    """What lab 4.3 recorded."""
    return {
        key.removeprefix("testing."): float(value)
        for key, value in glued.items()
        if key.startswith("testing.")
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

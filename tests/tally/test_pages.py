"""The pages that a team adopts: they name what is there, and their figures are the record's."""

import json
import re
import subprocess

import pandas as pd
import pytest
from conftest import LABS, ROOT

TALLY = ROOT / "tally"
PAGES = TALLY / "pages"


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


def test_a_chapter_shows_each_file_of_tally():
    text = "".join(chapter.read_text() for chapter in (ROOT / "chapters").glob("*.md"))
    files = {path for path in TALLY.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    shown = {path for path in files if f"include}} ../{path.relative_to(ROOT).as_posix()}\n" in text}
    assert files - shown == {TALLY / "__init__.py"}


def table(path, after="# "):
    """The rows of the first table of a Markdown file that stands below the heading `after`."""
    lines = path.read_text().partition(after)[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return pd.DataFrame(rows[2:], columns=rows[0])


def test_one_answers_for_each_duty_and_somebody_does_it():
    duties = table(PAGES / "raci.md").set_index("What").map(str.split)
    assert set(duties.stack().explode().dropna()) <= set("RACI")
    for duty, roles in duties.iterrows():
        assert roles.explode().tolist().count("A") == 1, duty
        assert "R" in roles.explode().tolist(), duty
    answers = duties.map(lambda roles: "A" in roles).sum()
    assert answers.between(1, len(duties) / 2).all(), "who answers for everything, or for nothing, is no role"


@pytest.mark.parametrize("name", ["runbook.md", "post_mortem.md", "launch_checklist.md"])
def test_a_page_names_only_what_is_there(name):
    text = (PAGES / name).read_text()
    assert [] == [path for path in re.findall(r"[\w.]+(?:/[\w.]+)+", text) if not (ROOT / path).exists()]
    verbs = re.findall(r"`make (\w+)", text)
    assert set(verbs) <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for functions, lab in re.findall(r"((?:`\w+` and )?`\w+`)\s(?:of|as)\s`(labs/\w+\.ipynb)`", text):
        for function in re.findall(r"\w+(?=`)", functions):
            assert f"def {function}(" in (ROOT / lab).read_text(), (function, lab)


def test_the_commands_of_the_runbook_end_as_it_says():
    commands = re.findall(r"^ +\$ (.+?) +# (\d)$", (PAGES / "runbook.md").read_text(), re.M)
    assert {code for _, code in commands} == {"0", "1"}
    for command, code in commands:
        done = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == int(code), done.stderr
        assert "Traceback" not in done.stderr


def test_a_section_of_the_runbook_is_an_alarm_and_what_to_do():
    sections = (PAGES / "runbook.md").read_text().split("\n## ")[1:-1]
    assert len(sections) == 13 and all("\n- " in section or "You may" in section for section in sections)


def test_a_figure_of_the_post_mortem_is_in_the_record_it_names(glued):
    text = (PAGES / "post_mortem.md").read_text()
    quoted = re.findall(r"([\d.,]+) \[(\w+\.\w+)\]", text)
    assert len(quoted) == text.count("[") >= 10
    for figure, key in quoted:
        value = float(figure.replace(",", ""))
        digits = len(figure.partition(".")[2])
        assert value == round(float(glued[key]), digits), (figure, key)
    rest = re.sub(r"[\d.,]+ \[\w+\.\w+\]", "", text)
    assert not re.findall(r"\d+[.,]\d+|\d+ ?%", rest), "a figure without its record"


def test_what_the_post_mortem_changes_has_a_name_and_a_day():
    changes = table(PAGES / "post_mortem.md", after="## What changes")
    assert pd.to_datetime(changes.Until, format="%Y-%m-%d").notna().all()
    assert (changes.Who != "").all() and len(changes) >= 5


def test_a_ticked_line_has_a_proof_and_an_open_one_a_day():
    lines = table(PAGES / "launch_checklist.md")
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
    return (PAGES / "model_card.md").read_text()


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

"""The dates of rules are written once, with a source, and somebody has looked at them within the last year or so."""

import re
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest
import yaml
from conftest import ROOT

FILE = ROOT / "data" / "dates.yml"
DATES = yaml.safe_load(FILE.read_text())
FIELDS = {"what", "date", "as_of", "text", "source", "read"}
DAYS = 400  # a year, and a month to notice
MONTH = timedelta(days=31)  # to notice that a day has passed: no edition breaks over night


def faults(entry):
    """What is wrong with an entry of data/dates.yml."""
    if missing := FIELDS - {field for field, value in entry.items() if value}:
        yield f"without {sorted(missing)}"
        return
    if unknown := entry.keys() - FIELDS:
        yield f"unknown: {sorted(unknown)}"
    if type(entry["date"]) is not date and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", str(entry["date"])):
        yield f"date is a day or a month, not {entry['date']}"
    days = {field: entry[field] for field in ("as_of", "text")}
    for field, day in days.items():
        if type(day) is not date:
            yield f"{field} is a day, not {day}"
            return
    if not days["text"] <= days["as_of"] <= date.today():
        yield f"a copy of {days['text']} was not read on {days['as_of']}"
    for field in ("source", "read"):
        address = urlsplit(str(entry[field]))
        if address.scheme != "https" or "." not in address.netloc:
            yield f"{field} is an https address, not {entry[field]}"


def overtaken(entry, today):
    """Whether an entry's date passed over a month ago and after it was read: it may have come otherwise."""
    day = entry["date"]
    return type(day) is date and entry["as_of"] < day < today - MONTH


def typed(entry, text):
    """The ways in which an entry's date is written out in a text."""
    day = entry["date"]
    if type(day) is not date:
        return []
    ways = (f"{day.day} {day:%B %Y}", f"{day:%B} {day.day}, {day.year}", day.isoformat())
    return [way for way in ways if re.search(rf"\b{way}\b", text)]


def test_every_entry_is_complete():
    assert DATES
    assert not {entry.get("what"): found for entry in DATES if (found := list(faults(entry)))}


def test_nothing_is_said_twice():
    said = [entry["what"] for entry in DATES]
    assert len(said) == len(set(said))


def test_every_date_was_looked_up_lately():
    old = [
        f"  {entry['what']}\n    as of {entry['as_of']}, to be read at {entry['source']}"
        for entry in DATES
        if (date.today() - entry["as_of"]).days > DAYS
    ]
    assert not old, (
        f"Nobody has checked these for {DAYS} days. Read each at its source; correct `date` if it moved, and what "
        "chapters/10_governance.md says of it; then set `as_of` to the day of the text that you read "
        "and `read` to where you read it, in data/dates.yml:\n" + "\n".join(old)
    )


def test_no_date_has_passed_since_it_was_read():
    passed = [
        f"  {entry['what']}\n    on {entry['date']}, read on {entry['as_of']}, to be read at {entry['source']}"
        for entry in DATES
        if overtaken(entry, date.today())
    ]
    assert not passed, (
        "These days have come and gone since somebody read of them. Read whether it came so, correct `date` and chapters/10_governance.md, then set `read`, `text` and `as_of` in data/dates.yml:\n"
        + "\n".join(passed)
    )


@pytest.mark.parametrize(
    ("day", "read", "today", "rings"),
    [
        (date(2026, 12, 2), date(2026, 11, 29), date(2026, 12, 1), False),
        (date(2026, 12, 2), date(2026, 11, 29), date(2027, 1, 2), False),
        (date(2026, 12, 2), date(2026, 11, 29), date(2027, 1, 3), True),
        (date(2026, 12, 2), date(2026, 12, 3), date(2027, 1, 2), False),
        (date(2026, 11, 20), date(2026, 4, 30), date(2026, 12, 22), True),
        ("2023-12", date(2026, 11, 29), date(2027, 1, 2), False),
    ],
)
def test_a_date_that_passed_unread_would_be_noticed(day, read, today, rings):
    assert overtaken({"date": day, "as_of": read}, today) == rings


def test_no_chapter_types_a_date_of_the_file():
    """Two homes for a date are one too many: when it moves, one of them is right."""
    pages = [ROOT / "glossary.md", *(ROOT / "chapters").rglob("*.md")]
    found = [(page.name, way) for page in pages for entry in DATES for way in typed(entry, page.read_text())]
    assert not found, "include data/dates.yml, or say it without the date"


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": None},
        {"source": "http://eur-lex.europa.eu/eli/reg/2024/1689/oj"},
        {"source": "https://oj"},
        {"read": "Official Journal"},
        {"as_of": date(date.today().year + 1, 1, 1)},
        {"as_of": "2026-09"},
        {"text": None},
        {"text": date(2026, 11, 30)},
        {"date": "next winter"},
        {"date": "2023-13"},
        {"until": date(2030, 1, 1)},
    ],
    ids=str,
)
def test_a_fault_in_an_entry_would_be_noticed(wrong):
    assert list(faults(DATES[0] | wrong))


@pytest.mark.parametrize("text", ["from 1 August 2024 on", "on August 1, 2024", "2024-08-01"])
def test_a_typed_date_would_be_noticed(text):
    assert typed(DATES[0], text) and not typed(DATES[0], text.replace("1", "2"))

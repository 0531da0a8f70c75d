"""Every address outside the book stands in one list, with the day when it was last seen."""

import html
import re
from datetime import date

import pytest
import yaml
from conftest import ROOT

pytestmark = pytest.mark.xdist_group("book")

SEEN = yaml.safe_load((ROOT / "data" / "links.yml").read_text())
DAYS = 400  # a year, and a month to notice


def addresses(text):
    return {html.unescape(found) for found in re.findall(r'<a [^>]*href="(https?://[^"]+)"', text)}


def test_the_list_holds_every_address_and_no_other(book):
    used = set().union(*(addresses(page.read_text()) for page in book.rglob("*.html")))
    for entry in yaml.safe_load((ROOT / "data" / "dates.yml").read_text()):
        used |= {entry["source"], entry["read"]}
    assert used == set(SEEN), "write what is missing into data/links.yml, with the day when you read it"


@pytest.mark.parametrize(("address", "day"), SEEN.items())
def test_the_address_was_seen_lately(address, day):
    assert 0 <= (date.today() - day).days <= DAYS, f"read {address} again, then correct its day"


def test_an_address_in_a_page_is_found():
    page = '<a class="x" href="https://example.org/?a=1&amp;b=2">there</a> <a href="inside.html">here</a>'
    assert addresses(page) == {"https://example.org/?a=1&b=2"}


def test_every_reference_says_how_it_was_checked_and_leads_to_its_source():
    text = (ROOT / "references.bib").read_text()
    entries = re.findall(r"^(.*)\n@\w+\{(\w+),\n((?:.+\n)*?)\}$", text, re.M)
    assert len(entries) == text.count("\n@") > 100
    for comment, key, fields in entries:
        assert comment.startswith("% checked: "), f"{key}: say where it was checked"
        if key != "jenkins2024mastering":  # the article of this book, which names no address of its own
            assert re.search(r"^ *(doi|url|eprint) *=", fields, re.M), f"{key}: give it a DOI or an address"

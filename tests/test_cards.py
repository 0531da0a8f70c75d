"""The deck for Anki, proven by Anki's own library."""

import json

import cards
import pytest
from anki.collection import Collection, ImportAnkiPackageOptions, ImportAnkiPackageRequest

pytestmark = [
    pytest.mark.xdist_group("book"),
    # on Python 3.14 by cached_property 2.0.1, which genanki asks for
    pytest.mark.filterwarnings(
        "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning:cached_property"
    ),
]


@pytest.fixture(scope="module")
def bank(book):
    return json.loads((book / "questions.json").read_text())["questions"]


@pytest.fixture
def collection(tmp_path):
    collection = Collection(str(tmp_path / "collection.anki2"))
    yield collection
    collection.close()


def read(collection, package):
    request = ImportAnkiPackageRequest(package_path=str(package), options=ImportAnkiPackageOptions())
    return collection.import_anki_package(request).log


def test_every_question_is_a_note_in_the_deck_of_its_section(book, bank, collection):
    log = read(collection, book / "questions.apkg")
    assert (len(log.new), collection.note_count()) == (len(bank), len(bank))
    decks = {deck.name for deck in collection.decks.all_names_and_ids()}
    assert {f"Mastering MLOps::{q['section']['title']}" for q in bank} <= decks
    for level in ("junior", "senior", "staff"):
        assert len(collection.find_notes(f"tag:level::{level}")) == sum(q["level"] == level for q in bank)
    assert len(collection.find_notes("tag:section::07_drift")) == sum(
        q["section"]["name"] == "07_drift" for q in bank
    )


def write(bank, path, when):
    cards.save(cards.decks(bank), path, when)
    return path


def test_a_newer_deck_updates_notes_and_adds_new_ones(bank, collection, tmp_path):
    old, new = json.loads(json.dumps(bank[:3])), json.loads(json.dumps(bank[:4]))
    new[0]["answers"]["senior"] = "<p>Better said.</p>"
    read(collection, write(old, tmp_path / "old.apkg", 1_700_000_000))
    log = read(collection, write(new, tmp_path / "new.apkg", 1_800_000_000))
    assert (len(log.updated), len(log.new), collection.note_count()) == (3, 1, 4)
    assert len(collection.find_notes('"Better said."')) == 1


def test_a_drawing_brings_its_colours(bank):
    drawn = [field for q in bank for field in cards.note(q, "").fields if "<svg" in field]
    assert drawn
    for field in drawn:
        assert (
            'stroke="#808080"' in field
            and 'viewBox="0 0 420' in field
            and field.count("<svg") == field.count("<figure")
        )


def test_mathematics_and_code_arrive_as_they_are(bank, collection, tmp_path):
    maths = '<math display="inline"><mi>p</mi><mo>&lt;</mo><mn>0.05</mn></math>'
    code = '<pre>if a &lt; b &amp;&amp; c:\n    print("{{x}} ’")</pre>'
    question = json.loads(json.dumps(bank[0]))
    question["answers"]["staff"] = maths + code
    read(collection, write([question], tmp_path / "deck.apkg", 1_700_000_000))
    note = collection.get_note(collection.find_notes("")[0])
    assert maths in note["Staff"] and "if a &lt; b &amp;&amp; c:" in note["Staff"]
    [card] = note.cards()
    assert maths in card.answer() and "if a &lt; b &amp;&amp; c:" in card.answer()


def test_links_lead_to_the_book_or_nowhere():
    html = (
        '<a class="reference" href="chapters/07_drift.html#q">here</a> <a href="https://doi.org/1">there</a>'
    )
    assert cards.outside(html, "https://x.org/mlops/").count("https://") == 2
    assert cards.outside(html, "") == 'here <a href="https://doi.org/1">there</a>'

"""The questions to take along: `questions.apkg`, a deck for Anki, and a page of cards for a mock interview in pairs.

A note is known by its question's name, so importing a newer deck updates it and keeps its schedule.
"""

import os
import re
import tempfile
import time
import zlib
from itertools import groupby
from pathlib import Path

import genanki
from bank import is_new, questions
from docutils import nodes
from practice import rubric
from questions import LEVELS
from sphinx.util.docutils import SphinxDirective

DECK = "Mastering MLOps"
MODEL = 1_741_203_846  # the identity of the note type in everybody's collection: never change it
FIELDS = (
    "Question",
    "Facts",
    "Listens for",
    "Junior",
    "Senior",
    "Staff",
    "Worked out",
    "Follow-ups",
    "Red flags",
)
BACK = "".join(  # each part folded, and left out when it is empty
    f"{{{{#{field}}}}}<details><summary>{field}</summary>{{{{{field}}}}}</details>{{{{/{field}}}}}"
    for field in FIELDS[2:]
)
CSS = """
.card { font: 18px/1.5 Georgia, serif; max-width: 40em; margin: auto; padding: 0 1em; text-align: left; }
summary { font: 600 15px sans-serif; padding: .4em 0; cursor: pointer; }
.facts { font: 13px sans-serif; opacity: .75; }
pre { white-space: pre-wrap; font-size: 14px; }
"""


class cards(nodes.Element):
    """Where the printable cards go."""


class Cards(SphinxDirective):
    def run(self):
        self.env.cards_page = self.env.docname
        self.env.note_dependency("data/rubric.yml")
        return [cards()]


def model():
    return genanki.Model(
        MODEL,
        f"{DECK}: question",
        fields=[{"name": name} for name in FIELDS],
        templates=[
            {
                "name": "Answer aloud",
                "qfmt": '{{Question}}<p class="facts">{{Facts}}</p>',
                "afmt": "{{FrontSide}}<hr id=answer>" + BACK,
            }
        ],
        css=CSS,
    )


def outside(html, base):
    """Links of a fragment for a place outside of the book: below `base`, or none when the book has no address."""
    if base:
        return re.sub(r'href="(?!\w+:)', f'href="{base}', html)
    return re.sub(r'<a [^>]*href="(?!\w+:)[^>]*>(.*?)</a>', r"\1", html, flags=re.DOTALL)


def note(q, base):
    exchanges = "".join(f"<p><b>{f['question']}</b></p>{f['reply']}" for f in q["follow_ups"])
    flags = "".join(f"<p><b>{f['says']}</b></p>{f['misconception']}" for f in q["red_flags"])
    facts = f"{q['kind']} · decides at {q['level']} · {q['minutes']} minutes · {q['section']['title']}"
    fields = [f"<b>{q['question_html']}</b>{q['situation']}", facts, q["listens_for"]]
    fields += [*(q["answers"][level] for level in LEVELS), q["worked"], exchanges, flags]
    return genanki.Note(
        model(),
        [outside(field, base) for field in fields],
        guid=genanki.guid_for(DECK, q["name"]),
        tags=[f"section::{q['section']['name']}", f"level::{q['level']}", f"kind::{q['kind']}"],
    )


def decks(bank, base=""):
    """One deck for each section, below one for the book; `base` is the book's address, if it has one."""
    for section, asked in groupby(bank, key=lambda q: q["section"]):
        deck = genanki.Deck((1 << 30) + zlib.crc32(section["name"].encode()), f"{DECK}::{section['title']}")
        for q in asked:
            deck.add_note(note(q, base))
        yield deck


def save(decks, path, when):
    """Write `decks` to the file `path`, as of `when` (seconds since 1970): of two notes Anki takes the newer."""
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # genanki 0.13 leaves its working file behind
        try:
            genanki.Package(list(decks)).write_to_file(path, timestamp=when)
        finally:
            tempfile.tempdir = usual


def write_deck(app, error):
    path = Path(app.outdir) / "questions.apkg"
    if error is None and app.builder.name == "html" and (is_new(app) or not path.exists()):
        now = float(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
        save(decks(questions(app), app.config.html_baseurl), path, now)


def fill(app, doctree, docname):
    for node in list(doctree.findall(cards)):
        if app.builder.name == "html":
            context = {"questions": questions(app), "rubric": rubric(app), "levels": LEVELS}
            node.replace_self(
                nodes.raw("", app.builder.templates.render("cards.html", context), format="html")
            )
        else:  # they would say everything twice
            node.replace_self(
                nodes.paragraph("", "The cards are a page of the book on screen, to be printed from there.")
            )


def renew(app, env):
    """The page holds the questions of all pages, and is written when one of them is new."""
    page = getattr(env, "cards_page", None)
    return [page] if page in env.found_docs and is_new(app) else []


def setup(app):
    app.add_directive("cards", Cards)
    app.add_node(cards)
    app.connect("env-updated", renew, priority=900)  # when it is known what changed
    app.connect("doctree-resolved", fill)
    app.connect("build-finished", write_deck, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

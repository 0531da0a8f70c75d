"""The practice page: every question in a list that needs no script, and what a script makes of it.

`questions.js` holds the bank for the script, since a page opened from a folder may not fetch.
"""

import json
from itertools import groupby
from pathlib import Path

import yaml
from bank import is_new, questions
from docutils import nodes
from questions import KINDS, LEVELS
from sphinx.util.docutils import SphinxDirective


class practice(nodes.Element):
    """Where the list of questions goes."""


class Practice(SphinxDirective):
    def run(self):
        self.env.practice_page = self.env.docname
        self.env.note_dependency("data/rubric.yml")
        return [practice()]


def rubric(app):
    """The seven dimensions, the bars of the levels and the caps, as data/rubric.yml gives them."""
    return yaml.load(
        (Path(app.srcdir) / "data" / "rubric.yml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )


def fill(app, doctree, docname):
    for node in list(doctree.findall(practice)):
        bank = questions(app)
        sections = [(section, list(asked)) for section, asked in groupby(bank, key=lambda q: q["section"])]
        page = app.builder.templates.render(
            "practice.html",
            {
                "sections": sections,
                "count": len(bank),
                "kinds": KINDS,
                "levels": LEVELS,
                "rubric": rubric(app),
                "interactive": app.builder.name == "html",
            },
        )
        node.replace_self(nodes.raw("", page, format="html"))


def write_script(app, error):
    if error is None and app.builder.name == "html":
        content = {"questions": questions(app), "rubric": rubric(app)}
        script = f"window.course = {json.dumps(content, ensure_ascii=False)};\n"
        (app.outdir / "questions.js").write_text(script, encoding="utf-8")


def renew(app, env):
    """The page holds the questions of all pages, and is written when one of them is new."""
    page = getattr(env, "practice_page", None)
    return [page] if page in env.found_docs and is_new(app) else []


def setup(app):
    app.add_directive("practice", Practice)
    app.add_node(practice)
    app.connect("env-updated", renew, priority=900)  # when it is known what changed
    app.connect("doctree-resolved", fill)
    app.connect("build-finished", write_script, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

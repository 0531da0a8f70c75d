"""Where each item of the article is taught, asked and proven: `{coverage} drift` writes the table of one section.

It is made from data/syllabus.yml, whose items say where they are `taught` (a chapter's file and heading), and which
`labs` or `artefacts` prove them; who asks them is read from the questions' `covers`. A heading that isn't there fails
the build, since the table is written as Markdown.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from questions import LEVELS, sections_of  # noqa: F401 (for the tests)
from sphinx.util.docutils import SphinxDirective


def asked(root):
    """(chapter's file, question's name, level, its items) of every question, in the order of the book."""
    for chapter in sorted((root / "chapters").glob("*.md")):
        for options in re.findall(
            r"^:{3,}\{question\}.*\n((?::.*\n)+)", chapter.read_text(encoding="utf-8"), re.M
        ):
            option = dict(re.findall(r"^:([\w-]+): (.*?) *$", options, re.M))
            # of another question the directive says what is wrong
            if {"name", "level", "covers"} <= option.keys() and option["level"] in LEVELS:
                yield chapter.name, option["name"], option["level"], option["covers"].split()


class Coverage(SphinxDirective):
    """The table of the section of data/syllabus.yml that the argument names."""

    required_arguments = 1

    def run(self):
        root = Path(self.env.srcdir)
        sections = self.env.app.sections
        if self.arguments[0] not in sections:
            raise self.error(f"no section {self.arguments[0]!r} in data/syllabus.yml: {', '.join(sections)}")
        questions = list(asked(root))
        self.env.metadata[self.env.docname]["coverage"] = True
        self.env.note_dependency(str(root / "data" / "syllabus.yml"))
        lines = ["| Item | Taught in | Asked of | Proven by |", "|---|---|---|---|"]
        for item in sections[self.arguments[0]]["items"]:
            levels = [
                f"[{level}](chapters/{chapter}#{name})"
                for chapter, name, level, items in sorted(questions, key=lambda q: LEVELS.index(q[2]))
                if item["id"] in items
            ]
            proofs = [
                *(f"[](labs/{lab}.ipynb)" for lab in item.get("labs", [])),
                *(f"`{artefact}`" for artefact in item.get("artefacts", [])),
            ]
            lines.append(
                f"| {item['item']} | [](chapters/{item['taught']}) | {', '.join(levels)} | {', '.join(proofs)} |"
            )
        content = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), 0, content)
        return content.children


def outdated(app, env, added, changed, removed):
    """The pages that say who asks what, when a question's options have changed; most edits of a chapter change none."""
    before, env.asked = getattr(env, "asked", None), list(asked(Path(app.srcdir)))
    return [docname for docname, meta in env.metadata.items() if "coverage" in meta and env.asked != before]


def setup(app):
    app.add_directive("coverage", Coverage)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1, "version": "1"}

"""Interview questions, written in the chapter that teaches their subject; everything else is derived from them.

    ::::{question} The drift alarm fires every week and nobody reads it. Fix it.
    :name: drift-alarm-fatigue       a stable name: the address of the question, and its identity in every deck
    :kind: incident                  quick-fire, deep-dive, design, incident or hands-on
    :level: senior                   at which it usually decides: junior, senior or staff
    :minutes: 8
    :covers: drift.monitoring        items of data/syllabus.yml, its subject first
    :labs: 07_drift_detection        optional: whose figures the answers quote
    :sources: yurdakul2018psi        optional: keys of references.bib

    The situation, if the question needs one.

    :::{listens-for}                 then junior, senior, staff (in each the sentence that makes the level in bold),
    …                                and any number of follow-up and red-flag, whose first line is what is said;
                                     optional: worked, the code, drawing or timeline of a good answer
    :::
    ::::

Whatever is wrong with a question is a warning with file and line, and so an error of the build.
"""

from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

KINDS = ("quick-fire", "deep-dive", "design", "incident", "hands-on")
LEVELS = ("junior", "senior", "staff")
ONCE = ("listens-for", *LEVELS)  # each question has these once, and in this order
OPTIONAL = ("worked",)
MANY = ("follow-up", "red-flag")  # and of these one or more
HEADINGS = {
    "listens-for": "What the interviewer listens for",
    "worked": "Worked out",
    "follow-up": "Follow-ups",
    "red-flag": "Red flags",
}


class part(nodes.Element):
    """A part of a question as it was written; attributes `kind`, and `said` for what somebody says."""


class fold(nodes.Element):
    """Something to open: a `summary` and what stands behind it."""


class summary(nodes.TextElement):
    """What is seen of a fold."""


def words(argument):
    return argument.replace(",", " ").split()


def one_of(*allowed):
    return lambda argument: directives.choice(argument, allowed)


class Part(SphinxDirective):
    """A part of a question. Its name says which; a follow-up and a red flag begin with what is said."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self):
        node = part(kind=self.name)
        self.set_source_info(node)
        said = self.arguments[0] if self.arguments else ""
        if (self.name in MANY) != bool(said):
            needs = "begins with what is said, after its name" if self.name in MANY else "has no title"
            logger.warning("a %s %s", self.name, needs, location=node)
        line = nodes.paragraph(classes=["said"])
        line += self.state.inline_text(said, self.lineno)[0]
        node += line
        if not self.content:
            logger.warning("this %s is empty", self.name, location=node)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class Question(SphinxDirective):
    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {  # noqa: RUF012  (docutils' own form)
        "name": directives.unchanged_required,
        "kind": one_of(*KINDS),
        "level": one_of(*LEVELS),
        "minutes": directives.positive_int,
        "covers": words,
        "labs": words,
        "sources": words,
    }

    def warn(self, message, *details, node=None):
        logger.warning(message, *details, location=node if node is not None else self.get_location())

    def run(self):
        missing = [
            name for name in ("name", "kind", "level", "minutes", "covers") if not self.options.get(name)
        ]
        if missing:
            self.warn(
                "this question has no %s: write `:%s:` below its first line",
                " and no ".join(missing),
                missing[0],
            )
            return []
        name = nodes.make_id(self.options["name"])
        self.look_up(name)
        section = nodes.section(ids=[name], names=[name], classes=["question", self.options["kind"]])
        self.set_source_info(section)
        section["question"] = {"labs": [], "sources": [], **self.options, "name": name}
        text, _ = self.state.inline_text(self.arguments[0], self.lineno)
        section += nodes.title(self.arguments[0], "", *text)
        self.state.document.note_explicit_target(section)

        written = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, written)
        parts = [node for node in written if isinstance(node, part)]
        situation = [node for node in written if not isinstance(node, part)]
        first = written.index(parts[0]) if parts else 0
        for stray in [node for node in situation if written.index(node) > first]:
            self.warn("this text belongs to no part of the question %s", name, node=stray)
        self.check(name, parts)
        section += self.facts()
        if situation:
            section += nodes.container("", *situation, classes=["situation"])
        section += list(self.arrange(parts))
        if sources := section["question"]["sources"]:
            cited = self.state.inline_text(
                "Sources: " + ", ".join(f"{{cite:t}}`{key}`" for key in sources) + ".", self.lineno
            )
            section += nodes.paragraph("", "", *cited[0], classes=["sources"])
        return [section]

    def look_up(self, name):
        """Everything that the question names must exist, and its own name must be new."""
        known = self.env.questions
        on_this_page = self.env.temp_data.setdefault("questions", set())
        if known.get(name, self.env.docname) != self.env.docname or name in on_this_page:
            self.warn("the name %s is taken by a question in %s: choose another", name, known[name])
        known[name] = self.env.docname
        self.env.note_dependency("data/syllabus.yml")
        on_this_page.add(name)
        for item in self.options["covers"]:
            if item not in self.env.app.syllabus:
                self.warn("question %s covers %s, which is no item of data/syllabus.yml", name, item)
        for lab in self.options.get("labs", []):
            if not (Path(self.env.srcdir) / "labs" / f"{lab}.ipynb").exists():
                self.warn("question %s names a lab that does not exist: labs/%s.ipynb", name, lab)

    def check(self, name, parts):
        kinds = [node["kind"] for node in parts]
        for kind in ONCE:
            if kinds.count(kind) != 1:
                self.warn(
                    "question %s has %s %s parts and needs one: `:::{%s}`",
                    name,
                    kinds.count(kind) or "no",
                    kind,
                    kind,
                )
        for kind in OPTIONAL:
            if kinds.count(kind) > 1:
                self.warn("question %s has %s %s parts and needs at most one", name, kinds.count(kind), kind)
        for kind in MANY:
            if kind not in kinds:
                self.warn("question %s has no %s: write at least one `:::{%s} …`", name, kind, kind)
        for node in parts:
            if node["kind"] in LEVELS and len(list(node.findall(nodes.strong))) != 1:
                self.warn(
                    "mark the one sentence that makes this answer %s with **…**", node["kind"], node=node
                )

    def facts(self):
        option = self.options
        line = nodes.paragraph(classes=["page-facts"])
        line += nodes.Text(
            f"{option['kind'].capitalize()} · decides at {option['level']} · {option['minutes']} minutes"
        )
        for lab in option.get("labs", []):
            line += nodes.Text(" · ")
            link, _ = self.state.inline_text(f"[](../labs/{lab}.ipynb)", self.lineno)
            line += link
        return line

    def arrange(self, parts):
        """The parts as they are shown: what is listened for, three answers beside each other, then the rest."""
        by_kind = {
            kind: [node for node in parts if node["kind"] == kind] for kind in (*ONCE, *OPTIONAL, *MANY)
        }

        def folded(kind, heading, content):
            return fold("", summary("", "", nodes.Text(heading)), *content, kind=kind)

        for node in by_kind["listens-for"]:
            yield folded("listens-for", HEADINGS["listens-for"], node.children[1:])
        answers = nodes.container(classes=["answers"])
        for level in LEVELS:
            heading = level.capitalize() + (" · decides here" if level == self.options["level"] else "")
            for node in by_kind[level]:
                answers += folded(level, heading, node.children[1:])
        yield answers
        for node in by_kind["worked"]:
            yield folded("worked", HEADINGS["worked"], node.children[1:])
        for kind in MANY:
            if by_kind[kind]:
                exchanges = [nodes.container("", *node.children, classes=[kind]) for node in by_kind[kind]]
                yield folded(kind, HEADINGS[kind], exchanges)


def visit_fold(self, node):
    self.body.append(f'<details class="{node["kind"]}">')


def depart_fold(self, node):
    self.body.append("</details>\n")


def visit_summary(self, node):
    self.body.append("<summary>")


def depart_summary(self, node):
    self.body.append("</summary>\n")


def unmet(self, node):
    raise NotImplementedError("a part of a question stands outside of `question`")


def sections_of(root):
    """The sections of the article as data/syllabus.yml has them, by name."""
    text = (Path(root) / "data" / "syllabus.yml").read_text(encoding="utf-8")
    return {section["section"]: section for section in yaml.load(text, Loader=yaml.CSafeLoader)}


def read_syllabus(app):
    app.sections = sections_of(app.srcdir)
    app.syllabus = {item["id"]: item for section in app.sections.values() for item in section["items"]}


def forget(app, env, docname):
    env.questions = {name: where for name, where in env.questions.items() if where != docname}


def remember(app, env, docnames):
    if not hasattr(env, "questions"):
        env.questions = {}


def merge(app, env, docnames, other):
    env.questions |= {name: where for name, where in other.questions.items() if where in docnames}


def offer_anchors(app, doctree):
    """Let `[…](../chapters/07_drift.md#drift-alarm-fatigue)` find a question, as it finds a heading."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for section in doctree.findall(nodes.section):
        if "question" in section:
            slugs[section["ids"][0]] = (section.line or 0, section["ids"][0], section[0].astext())


def refuse_strays(app, doctree):
    for node in list(doctree.findall(part)):
        logger.warning("a %s stands outside of any question", node["kind"], location=node)
        node.parent.remove(node)


def setup(app):
    app.add_directive("question", Question)
    for kind in (*ONCE, *OPTIONAL, *MANY):
        app.add_directive(kind, Part)
    app.add_node(fold, html=(visit_fold, depart_fold))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_node(part, html=(unmet, unmet))
    app.connect("builder-inited", read_syllabus)
    app.connect("env-before-read-docs", remember)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("doctree-read", offer_anchors)
    app.connect("doctree-read", refuse_strays)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1, "version": "1"}

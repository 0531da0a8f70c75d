"""Every question of the book as data, from which practice, cards and decks are made: `questions.json`.

Its form is `questions.schema.json`, published beside it. Texts are HTML whose links start at the book's root.
"""

import hashlib
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from drawings import drawing
from questions import LEVELS, fold, summary

SCHEMA = Path(__file__).with_name("questions.schema.json")


def from_root(app, docname, node):
    """A copy of `node` in which links that start at its page start at the book's root."""
    node, page = node.deepcopy(), Path(app.builder.get_target_uri(docname))
    for link in node.findall(nodes.reference):
        parts = urlsplit(link.get("refuri", ""))
        if link.get("refid"):
            link["refuri"] = f"{page.as_posix()}#{link.attributes.pop('refid')}"
        elif not parts.scheme:
            base = page if not parts.path else page.parent / parts.path
            steps = []
            for step in base.parts:
                steps = steps[:-1] if step == ".." else [*steps, step]
            link["refuri"] = "/".join(steps) + (f"#{parts.fragment}" if parts.fragment else "")
    for identified in node.findall(nodes.Element):
        identified["ids"] = []  # they are unique on the page that teaches them, and would not be here
    for figure in node.findall(drawing):
        figure["alone"] = True
    return node


def html(app, docname, children):
    """The blocks `children` of page `docname` as HTML."""
    blocks = from_root(app, docname, nodes.container("", *[child.deepcopy() for child in children]))
    return "".join(app.builder.render_partial(block)["fragment"] for block in blocks).strip()


def line(app, docname, text):
    """What stands in the title or paragraph `text`, as HTML."""
    inline = from_root(app, docname, nodes.inline("", "", *[child.deepcopy() for child in text]))
    return (
        app.builder.render_partial(inline)["fragment"].strip().removeprefix("<span>").removesuffix("</span>")
    )


def data_of(app, docname, section):
    """One question, from its section in a resolved page."""
    option, title = section["question"], section[0]
    folds = {node["kind"]: node for node in section.findall(fold)}

    def behind(kind):
        content = folds[kind].children if kind in folds else []
        return html(app, docname, [child for child in content if not isinstance(child, summary)])

    def exchanges(kind, said, reply):
        both = [node.children for node in folds[kind] if isinstance(node, nodes.container)]
        return [{said: line(app, docname, first), reply: html(app, docname, rest)} for first, *rest in both]

    situation = [child for node in section if "situation" in node.get("classes", []) for child in node]
    page = app.builder.get_target_uri(docname)
    return {
        "name": option["name"],
        "question": title.astext(),
        "question_html": line(app, docname, title),
        "situation": html(app, docname, situation),
        "kind": option["kind"],
        "level": option["level"],
        "minutes": option["minutes"],
        "covers": option["covers"],
        "labs": [
            {
                "name": lab,
                "title": app.env.titles[f"labs/{lab}"].astext(),
                "url": app.builder.get_target_uri(f"labs/{lab}"),
            }
            for lab in option["labs"]
        ],
        "sources": option["sources"],
        "section": {"name": Path(docname).name, "title": app.env.titles[docname].astext(), "url": page},
        "url": f"{page}#{option['name']}",
        "listens_for": behind("listens-for"),
        "answers": {level: behind(level) for level in LEVELS},
        "worked": behind("worked"),
        "follow_ups": exchanges("follow-up", "question", "reply"),
        "red_flags": exchanges("red-flag", "says", "misconception"),
    }


def stamps(app):
    """{page with questions: when it was read, and a digest of its questions}, in the order of the book."""
    if not hasattr(app, "stamps"):
        pages, last, app.stamps = set(app.env.questions.values()), app.last.get("pages", {}), {}
        for docname in filter(pages.__contains__, app.env.collect_relations()):
            read = Path(app.env.doctreedir, f"{docname}.doctree").stat().st_mtime_ns
            if last.get(docname, {}).get("read") == read and "digest" in last[docname]:
                digest = last[docname]["digest"]
            else:
                asked = "".join(section.pformat() for section in sections(app.env.get_doctree(docname)))
                digest = hashlib.sha256(asked.encode()).hexdigest()
            app.stamps[docname] = {"read": read, "digest": digest}
    return app.stamps


def sections(doctree):
    """The sections of a page that are questions."""
    return [section for section in doctree.findall(nodes.section) if "question" in section]


def is_new(app):
    """Whether a question may differ from what the last good build made of it, or the build before was none."""
    last = [(page, asked.get("digest")) for page, asked in app.last.get("pages", {}).items()]
    now = [(page, stamp["digest"]) for page, stamp in stamps(app).items()]
    return app.told != app.last.get("told") or now != last


def questions(app):
    """All questions in the order of the book, as the schema says.

    A page's questions are made again when one of them has changed, or anything that pages say of each other.
    """
    if not hasattr(app, "asked_on"):
        last = app.last.get("pages", {}) if app.told == app.last.get("told") else {}
        app.asked_on = {}
        for docname, stamp in stamps(app).items():
            if last.get(docname, {}).get("digest") == stamp["digest"]:
                asked = last[docname]["questions"]
            else:
                doctree = app.env.get_and_resolve_doctree(docname, app.builder)
                asked = [data_of(app, docname, section) for section in sections(doctree)]
            app.asked_on[docname] = stamp | {"questions": asked}
    return [question for page in app.asked_on.values() for question in page["questions"]]


def write(app, error):
    if error is None and app.builder.name == "html":
        content = {"$schema": SCHEMA.name, "questions": questions(app)}
        (app.outdir / "questions.json").write_text(
            json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        shutil.copy(SCHEMA, app.outdir)


def setup(app):
    app.setup_extension("quick")
    app.setup_extension("rebuild")
    app.connect("build-finished", write, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

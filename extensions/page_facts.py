"""What a page says about itself: a lab what it costs, a chapter how long it takes, both what belongs to them."""

import json
import re
import shutil
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))
from minutes import minutes, said, total  # noqa: E402

logger = logging.getLogger(__name__)
FOLDER = "learner"  # below the book's root
COURSE = ".course.json"  # as scripts/learner.py names it
WORDS_A_MINUTE = 200


def is_lab(docname):
    return docname.startswith("labs/")


def mark_predictions(app, doctree):
    """Let a paragraph that begins with **Predict.** be seen as one; labs stay plain Markdown."""
    for paragraph in doctree.findall(nodes.paragraph):
        first = next((child for child in paragraph.children if child.astext()), None)
        if isinstance(first, nodes.strong) and first.astext() == "Predict.":
            paragraph["classes"].append("predict")


def add_cost(app, doctree):
    """Put the lab's cost, date and download below its title."""
    docname = app.env.docname
    if not is_lab(docname):
        return
    path = Path(app.env.doc2path(docname))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    course = notebook["metadata"].get("course", {})
    missing = {"cost", "recorded"} - course.keys()
    if missing:
        logger.warning(
            "%s has no %s in its metadata under `course`: run `make record LAB=%s`",
            path.name,
            " and no ".join(sorted(missing)),
            path.stem,
            location=docname,
        )
        return
    cost = course["cost"]
    time = minutes(notebook)
    further = total(time["further"])
    line = nodes.paragraph(classes=["page-facts"])
    line += nodes.Text(
        f"{said(time['core'])} minutes for you"
        + f", {further} more for what goes further" * bool(further)
        + " · "
        f"{cost['seconds']} s and {cost['mebibytes']:.0f} MiB for the machine · "
        f"recorded on {course['recorded']} · "
    )
    copy = "your copy, with the exercises open"
    link = nodes.reference("", copy, refuri=f"../{FOLDER}/{path.name}", internal=False)
    verb = [nodes.literal("", "make lab"), nodes.Text(f" opens {copy}")]
    line += addnodes.only("", link, expr="not (singlehtml or epub)")
    line += addnodes.only("", *verb, expr="singlehtml or epub")  # a takeaway holds no notebooks
    put_below_title(doctree, line)


def reading_minutes(text):
    """Minutes for the argument of a chapter (its MyST source): without questions, folds, tables, code and files."""
    for apart in (
        r"^(:{4,})\{question\}.*?^\1 *$",
        r"^(:{3,})\{quiz\}.*?^\1 *$",
        r"<details>.*?</details>",
        r"^(`{3,}).*?^\1 *$",
        r"^\([^\n]*\)=$",
        r"^\|[^\n]*$",
    ):
        text = re.sub(apart, "", text, flags=re.M | re.S)
    text = re.sub(r"\{[\w:]+\}`[^`]*`", "0", text)  # a figure, a citation
    text = re.sub(r"\]\([^)]*\)|^:{3,}[^\n]*$", "]", text, flags=re.M)
    return round(len(re.findall(r"\w[\w'’.,%-]*", text)) / WORDS_A_MINUTE)


def add_reading_time(app, doctree):
    """Put the minutes that a chapter takes below its title."""
    if app.env.docname.startswith("chapters/"):
        reading = reading_minutes(Path(app.env.doc2path(app.env.docname)).read_text(encoding="utf-8"))
        said = f"{reading} minutes to read, its tables, folds and questions apart"
        labs = f"labs/{Path(app.env.docname).name[:2]}"
        if any(docname.startswith(labs) for docname in app.env.found_docs):
            said += ". Do its labs first, if you mean to do them: the chapter tells how they end"
        put_below_title(doctree, nodes.paragraph("", said, classes=["page-facts"]))


def put_below_title(doctree, line):
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        logger.warning("the page does not begin with a title", location=doctree)
    else:
        title.parent.insert(title.parent.index(title) + 1, line)


def add_companions(app, pagename, templatename, context, doctree):
    """Tell the template which labs belong to a chapter, and which chapter to a lab: they share a number."""
    folder, _, name = pagename.partition("/")
    if folder in ("chapters", "labs"):
        other = {"chapters": "labs/", "labs": "chapters/"}[folder] + name[:2]
        context["companions"] = [
            (context["pathto"](docname), app.env.titles[docname].astext())
            for docname in sorted(app.env.found_docs)
            if docname.startswith(other)
        ]


def add_description(app, pagename, templatename, context, doctree):
    """Describe the page by its first sentence, for search engines and for those who share it.

    Sentences have a line each. Left to itself, the extension for cards takes what stands below the title: the cost.
    """
    if doctree and app.builder.name == "html":
        sentences = (
            node.astext().partition("\n")[0]
            for node in doctree.findall(nodes.paragraph)
            if isinstance(node.parent, nodes.section)
            and "page-facts" not in node["classes"]
            and node.astext()
        )
        said = escape(next(sentences, app.config.epub_description))
        context["meta"] = (context["meta"] or {}) | {"og:description": said}
        context["metatags"] += f'<meta name="description" content="{said}" />'


def downloads(app):
    """The takeaways that `make pdf` and `make epub` have made; the cover links those that exist."""
    return sorted((Path(app.srcdir) / "_build" / "downloads").glob("mastering-mlops.*"))


def renew_cover(app, env):
    """Write the cover again when there are other takeaways than it says."""
    made = [(path.name, path.stat().st_size) for path in downloads(app)]
    if app.builder.name != "html" or made == getattr(env, "downloads", []):
        return []
    env.downloads = made
    return [app.config.root_doc]


def add_downloads(app, pagename, templatename, context, doctree):
    if pagename == app.config.root_doc and app.builder.name == "html":
        context["downloads"] = [
            (path.name, path.suffix[1:].upper(), f"{path.stat().st_size / 1e6:.1f} MB")
            for path in downloads(app)
        ]


def are_older(copies, labs, answers):
    """Whether a learner's copy is missing, of the other edition, or older than a lab or than what makes copies."""
    try:
        if bool(json.loads((copies / COURSE).read_text(encoding="utf-8"))["references"]) != answers:
            return True
    except (OSError, ValueError, KeyError):
        return True
    made = {path.name: path.stat().st_mtime_ns for path in copies.glob("*.ipynb")}
    sources = [path for path in labs.rglob("*") if path.is_file()]
    newest = max(path.stat().st_mtime_ns for path in [*sources, SCRIPTS / "learner.py"])
    return {path.name for path in labs.glob("*.ipynb")} != set(made) or min(made.values()) <= newest


def write_copies(app, error):
    """Write the learner's copies and the takeaways into the built book."""
    if error is None and app.builder.name == "html":
        folder = Path(app.outdir) / FOLDER
        labs = Path(app.srcdir) / "labs"
        answers = app.config.edition != "class"
        if are_older(folder, labs, answers):
            # not before it is needed: nbconvert takes a while to load
            from learner import READ, files_for_learner

            read = app.config.html_baseurl.rstrip("/") + "/" if app.config.html_baseurl else READ
            for name, content in files_for_learner(labs, answers, read).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        for path in downloads(app):
            shutil.copy(path, app.outdir)


def setup(app):
    app.connect("doctree-read", add_cost)
    app.connect("doctree-read", add_reading_time)
    app.connect("doctree-read", mark_predictions)
    app.connect("env-updated", renew_cover)
    app.connect("html-page-context", add_companions)
    app.connect("html-page-context", add_downloads)
    app.connect("html-page-context", add_description, priority=400)  # before the extension for cards looks
    app.connect("build-finished", write_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

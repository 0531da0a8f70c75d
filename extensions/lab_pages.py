"""What a lab's page says about the lab: what it costs, when it was recorded, and where the learner's copy is."""

import json
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
from learner import files_for_learner

logger = logging.getLogger(__name__)
FOLDER = "learner"  # below the book's root


def is_lab(docname):
    return docname.startswith("labs/")


def mark_predictions(app, doctree):
    """Let a paragraph that begins with **Predict.** be seen as one; labs stay plain Markdown."""
    for paragraph in doctree.findall(nodes.paragraph):
        first = paragraph.children[0] if paragraph.children else None
        if isinstance(first, nodes.strong) and first.astext() == "Predict.":
            paragraph["classes"].append("predict")


def add_cost(app, doctree):
    """Put the lab's cost, date and download below its title."""
    docname = app.env.docname
    if not is_lab(docname):
        return
    path = Path(app.env.doc2path(docname))
    course = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("course", {})
    missing = {"minutes", "cost", "recorded"} - course.keys()
    if missing:
        logger.warning(
            "%s has no %s in its metadata under `course`: set minutes and covers by hand, then run "
            "`make record LAB=%s`",
            path.name,
            " and no ".join(sorted(missing)),
            path.stem,
            location=docname,
        )
        return
    cost = course["cost"]
    line = nodes.paragraph(classes=["lab-cost"])
    line += nodes.Text(
        f"{course['minutes']} minutes for you · {cost['seconds']} s and {cost['mebibytes']:.0f} MiB for the machine · "
        f"recorded on {course['recorded']} · "
    )
    target = f"../{FOLDER}/{path.name}"
    line += nodes.reference("", "your copy, with the exercises open", refuri=target, internal=False)
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        logger.warning("%s does not begin with a title", path.name, location=docname)
        return
    title.parent.insert(title.parent.index(title) + 1, line)


def write_copies(app, error):
    """Write the learner's copies into the built book."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(exist_ok=True)
        for name, content in files_for_learner(Path(app.srcdir) / "labs").items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def setup(app):
    app.connect("doctree-read", add_cost)
    app.connect("doctree-read", mark_predictions)
    app.connect("build-finished", write_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

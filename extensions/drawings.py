"""Drawings in the colours of the page: `{drawing}` writes an SVG file into the page, with its caption.

Sphinx's `figure` links a file, which the variables of a page's style do not reach, nor the reader's switch between
light and dark. A drawing brings its own text alternative, a <title> and a <desc>; without them the build fails.
"""

from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

SVG = "{http://www.w3.org/2000/svg}"


class drawing(nodes.General, nodes.Element):
    """An SVG that is part of the page, and its caption."""


def lacks(svg):
    """What the text of an SVG file lacks to be drawn in a page and read aloud; "" if nothing."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        return f"is not well-formed ({error})"
    if root.tag != f"{SVG}svg" or root.get("role") != "img":
        return 'does not begin with <svg xmlns="http://www.w3.org/2000/svg" role="img">'
    for name in ("title", "desc"):
        if not root.findtext(f"{SVG}{name}", "").strip():
            return f"has no <{name}>, so it cannot be read aloud"
    return ""


class Drawing(SphinxDirective):
    """The path of an SVG file, as in `figure`; below it the caption."""

    required_arguments = 1
    has_content = True
    option_spec = {"class": directives.class_option}  # noqa: RUF012 (docutils reads it so)

    def run(self):
        name, path = self.env.relfn2path(self.arguments[0])
        if not Path(path).is_file():
            raise self.error(f"there is no drawing {name}")
        self.env.note_dependency(name)
        svg = Path(path).read_text(encoding="utf-8")
        if lack := lacks(svg):
            raise self.error(f"{name} {lack}")
        figure = drawing(svg=svg, classes=self.options.get("class", []))
        self.set_source_info(figure)
        if self.content:
            caption, messages = self.parse_inline("\n".join(self.content), lineno=self.content_offset + 1)
            figure += [nodes.paragraph("", "", *caption), *messages]
        return [figure]


def begin(self, node):
    self.body += [self.starttag(node, "figure", CLASS="drawing"), node["svg"], "<figcaption>" * len(node)]


def end(self, node):
    self.body += ["</figcaption>" * len(node), "</figure>\n"]


def setup(app):
    app.add_node(drawing, html=(begin, end))
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""Mathematics as MathML, which every browser draws itself: nothing to load, and it is read aloud."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def render(node, display):
    try:
        return convert(node.astext(), display=display)
    except Exception as error:  # the library raises many kinds for bad LaTeX
        logger.warning("this LaTeX is not understood: %s (%r)", node.astext(), error, location=node)
        return ""


def inline(self, node):
    self.body.append(render(node, "inline"))
    raise nodes.SkipNode


def block(self, node):
    self.body.append(f'<div class="math">{render(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

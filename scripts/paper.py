"""Pages to print: `page(title, parts)` is one HTML file that asks nothing of any server."""

from html import escape

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

STYLE = """
@page { margin: 18mm 16mm; }
body { font: 11pt/1.45 Georgia, "Source Serif 4", serif; color: #111; background: #fff; max-width: 46rem;
       margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; break-after: avoid; }
h2 { border-top: 1px solid #999; padding-top: 0.6rem; }
pre { font: 9pt/1.4 "DejaVu Sans Mono", Consolas, monospace; background: #f5f5f2; padding: 0.5rem 0.7rem;
      white-space: pre-wrap; overflow-wrap: anywhere; break-inside: avoid; }
code { font-family: "DejaVu Sans Mono", Consolas, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td, th { border: 1px solid #bbb; padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
tr, .card { break-inside: avoid; }
.write { border: 1px dashed #999; height: 7rem; margin: 0.4rem 0 1rem; }
.line { border-bottom: 1px solid #999; height: 1.6rem; width: 12rem; break-before: avoid; }
.card { border: 1px solid #555; padding: 0.6rem 0.9rem; margin: 0 0 1rem; }
.new-page { break-before: page; }
.turn { break-after: page; }
a { color: inherit; }
@media (max-width: 40rem) { body { margin: 1rem auto; } table { display: block; overflow-x: auto; font-size: 0.9em; } }
"""


def coloured(source, language, _=None):
    """Python as HTML, in colours that survive a black-and-white printer."""
    if language not in ("python", "text", "yaml", "shell"):
        return ""
    lexer = get_lexer_by_name({"shell": "bash"}.get(language, language))
    return highlight(source, lexer, HtmlFormatter(nowrap=True, style="bw"))


def html(text):
    """Markdown as HTML; HTML in it stays."""
    return MarkdownIt("commonmark", {"html": True, "highlight": coloured}).enable("table").render(text)


def code(source, language="python"):
    """`source` as a Markdown code block, whatever backticks it holds."""
    fence = "`" * max(3, 1 + max((len(run) for run in source.split("\n") if set(run) == {"`"}), default=0))
    return f"{fence}{language}\n{source}\n{fence}"


def page(title, parts):
    """One HTML page with the `title` (plain text) and `parts` (Markdown)."""
    colours = HtmlFormatter(style="bw").get_style_defs("pre")
    body = html("\n\n".join(parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}{colours}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )

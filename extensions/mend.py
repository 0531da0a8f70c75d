"""Mend what the tools below us write into pages, after the build; each line says whose fault it is.

A line goes when the tool has learnt it. The tests of the pages fail where one is missing.
"""

import re
import struct
import zlib

MENDED = {
    # Sphinx: scripts that the first paint would wait for
    r"<script src=": "<script defer src=",
    # MyST-NB: 40 kB of style for colours of terminals; Furo: 5 kB for tools that we don't load
    r"<link [^>]*/(?:mystnb\.|styles/furo-extensions\.)[^>]*>\s*": "",
    # Sphinx: the captions of the table of contents are headings without a level
    r'(<p class="caption" role="heading")>': r'\1 aria-level="2">',
    # Furo: drawers that a hidden box opens, which no key reaches; a button opens a popover, and Escape closes it
    r'<input type="checkbox" class="sidebar-toggle".*?>\s*': "",
    r'<label class="overlay .*?</label>\s*': "",
    r'<label class="(nav-overlay-icon)" for="(\w+)">(.*?)</label>': r'<button class="\1" popovertarget="\2" aria-label="The book">\3</button>',
    r'<label class="(toc-overlay-icon[^"]*)" for="(\w+)">(.*?)</label>': r'<button class="\1" popovertarget="\2" aria-label="This page">\3</button>',
    r'<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" id="__navigation" popover aria-label="The book">',
    r'<aside class="toc-drawer([^"]*)">': r'<aside class="toc-drawer\1" id="__toc" popover aria-label="This page">',
    # Furo: a link that stands in no landmark, and floats over the headings: it goes below the text
    r'\n\s*(<a href="#" class="back-to-top.*?</a>)(.*?</article>)': r'\2<nav aria-label="Top of the page">\1</nav>',
    # Furo: a style that a policy may forbid, and a box of icons on top of the page then
    r'(<svg xmlns="http://www.w3.org/2000/svg") style="display: none;">': r'\1 display="none">',
    # docutils: roles that browsers have given up
    r' role="doc-biblioentry"': "",
    r'<div role="list" class="citation-list">': '<div class="citation-list">',
    # MyST-NB: a summary whose name is not its text, and which holds paragraphs
    r' aria-label="Toggle hidden content"': "",
    r'<p class="(collapsed|expanded) admonition-title">(.*?)</p>': r'<span class="\1">\2</span>',
    # pandas and Markdown: an empty corner is no header
    r'<th(?: class="head[^"]*")?>(?:<p></p>)?</th>': "<td></td>",
    # pandas: a style sheet within a table's frame, and attributes that HTML has given up
    r"<div>\s*<style scoped>[^<]*</style>": '<div class="dataframe-wrapper" tabindex="0">',
    r'<table border="1" class="dataframe': '<table class="dataframe',
    r' [hv]align="\w+"': "",
    # Pygments: each name, bracket and operator in an element of its own, half of a lab's page
    r'<span class="(?:n|nn|o|p|w)">(.*?)</span>': r"\1",
    # Pygments and docutils: what scrolls must be reachable by keyboard
    r"<pre>": '<pre tabindex="0">',
    r'<div class="(table|math)-wrapper ([^"]*)">': r'<div class="\1-wrapper \2" tabindex="0">',
}


def mend(text):
    for fault, cure in MENDED.items():
        text = re.sub(fault, cure, text, flags=re.DOTALL)
    return text


def give_sizes(text, folder):
    """docutils: images without a size push the text down when they arrive, and those far below are loaded first."""

    def sized(found):
        width, height = struct.unpack(">II", (folder / found[2]).read_bytes()[16:24])  # as PNG has it
        return f'<img loading="lazy" width="{width}" height="{height}"{found[1]}'

    return re.sub(r'<img( alt="[^"]*" src="([^":]+\.png)")', sized, text)


def colour_later(text):
    """Sphinx: colours of code, for which the first paint would wait. At the end of the page they don't stop it."""
    link = re.search(r'<link rel="stylesheet"[^>]*/pygments\.css[^>]*>', text)
    return text.replace(link[0], "").replace("</body>", f"{link[0]}</body>") if link else text


def variables_apart(text, folder):
    """Furo: the variables of its style stand in each page, where a policy such as `default-src 'self'` forbids them."""
    style = re.search(r"<style>(\s*body \{.*?)</style>", text, re.DOTALL)
    place = re.search(r'href="([^"]*_static/)book\.css', text)
    if not style or not place:
        return text
    path = folder / "_static" / "variables.css"
    if not path.exists() or path.read_text(encoding="utf-8") != style[1]:
        path.write_text(style[1], encoding="utf-8")
    version = f"{zlib.crc32(style[1].encode()):x}"
    link = f'<link rel="stylesheet" type="text/css" href="{place[1]}variables.css?v={version}">'
    return text.replace(style[0], link)


def mend_pages(app, error):
    if error is None and app.builder.format == "html":
        for path in app.builder.outdir.rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            if "<script src=" not in text:
                continue  # it is mended already, by an earlier build
            mended = mend(text)
            if app.builder.name == "html":  # paper wants its images and colours at once
                mended = colour_later(give_sizes(mended, path.parent))
                mended = variables_apart(mended, app.builder.outdir)
            if text != mended:
                path.write_text(mended, encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

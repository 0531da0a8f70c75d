"""Mend what the tools below us write into pages, after the build; each line says whose fault it is.

A line goes when the tool has learnt it. The tests of the pages fail where one is missing.
"""

import re

MENDED = {
    # Sphinx: the captions of the table of contents are headings without a level
    r'(<p class="caption" role="heading")>': r'\1 aria-level="2">',
    # Furo: two sidebars that a screen reader cannot tell apart
    r'<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="The book">',
    r'<aside class="toc-drawer([^"]*)">': r'<aside class="toc-drawer\1" aria-label="This page">',
    # Furo: a link that stands in no landmark
    r'(<a href="#" class="back-to-top.*?</a>)': r'<nav aria-label="Top of the page">\1</nav>',
    # docutils: roles that browsers have given up
    r' role="doc-biblioentry"': "",
    r'<div role="list" class="citation-list">': '<div class="citation-list">',
    # pandas and Markdown: an empty corner is no header
    r'<th(?: class="head[^"]*")?>(?:<p></p>)?</th>': "<td></td>",
    # pandas: a style sheet in the middle of a page
    r"<div>\s*<style scoped>[^<]*</style>": '<div class="dataframe-wrapper" tabindex="0">',
    # pandas: attributes that HTML has given up
    r' [hv]align="\w+"': "",
    # Pygments, pandas and docutils: what scrolls must be reachable by keyboard
    r"<pre>": '<pre tabindex="0">',
    r'<div class="table-wrapper ([^"]*)">': r'<div class="table-wrapper \1" tabindex="0">',
}


def mend(text):
    for fault, cure in MENDED.items():
        text = re.sub(fault, cure, text, flags=re.DOTALL)
    return text


def mend_pages(app, error):
    if error is None and app.builder.format == "html":
        for path in app.builder.outdir.rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            if text != (mended := mend(text)):
                path.write_text(mended, encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""The EPUB (`make epub`): what Sphinx and MyST-NB leave undone in it is mended before its pages are bound."""

import re
from pathlib import Path

from mend import mend
from sphinx.builders.epub3 import Epub3Builder

MENDED = {  # beside what is mended on every page; each line says whose fault it is
    # readers of books: many cannot unfold what is folded
    r"<details": '<details open="open"',
    # MyST-NB: two paragraphs in one summary, of which a style sheet hides one
    r'<summary aria-label="Toggle hidden content">.*?</summary>': "<summary>Show or hide</summary>",
    # MyST-NB: its style sheet is copied when the book is bound already; and a book has no button to copy
    r'<link rel="stylesheet"[^>]*_static/(?:mystnb|copybutton)\b[^>]*>': "",
}
PROPERTIES = {"<math": "mathml", "<svg": "svg"}  # what a page must declare that holds one


def declare(package, folder):
    """Add to the list of files, the text `package`, what Sphinx does not say of them: the cover, and PROPERTIES."""

    def item(match):
        path = folder / match["path"]
        text = path.read_text(encoding="utf-8") if path.suffix == ".xhtml" else ""
        properties = [name for mark, name in PROPERTIES.items() if mark in text]
        properties += ["cover-image"] if path.name == "cover.png" else []
        return match[0] + (f' properties="{" ".join(properties)}"' if properties else "")

    return re.sub(r'<item id="epub-\d+" href="(?P<path>[^"]+)" media-type="[^"]+"', item, package)


class EbookBuilder(Epub3Builder):
    """Sphinx's builder of EPUBs, whose pages have a language and are mended."""

    html_tag = Epub3Builder.html_tag.replace(">", ' lang="en" xml:lang="en">')

    def init(self):
        # the fonts of a book are its reader's choice, so ours stay out
        self.config.html_static_path = [
            f"_assets/{name}" for name in ("ebook.css", "drawings.css", "cover.png")
        ]
        self.config.epub_cover = ("_static/cover.png", "epub-cover.html")
        super().init()

    def build_epub(self):
        folder = Path(self.outdir)
        for path in folder.rglob("*.xhtml"):
            text = mend(path.read_text(encoding="utf-8"))
            for fault, cure in MENDED.items():
                text = re.sub(fault, cure, text, flags=re.DOTALL)
            path.write_text(text, encoding="utf-8")
        package = folder / "content.opf"
        package.write_text(declare(package.read_text(encoding="utf-8"), folder), encoding="utf-8")
        super().build_epub()


def setup(app):
    app.add_builder(EbookBuilder, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""Print the whole book as one PDF by Chromium, with an outline and page numbers: `make pdf`."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("_build") / "downloads" / "mastering-mlops.pdf"
MISSING = (
    "the PDF is printed by Chromium or Chrome, and none was found: on Debian or Ubuntu, apt install chromium"
)


def find_chromium():
    """The path of the system's Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
    found = next(filter(None, map(shutil.which, names)), None)
    usual = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")  # macOS has it on no path
    return found or (str(usual) if usual.exists() else None)


def unfold(page):
    """Open what is folded on a page that will be printed."""
    return page.replace("<details", "<details open")


def print_page(chromium, page_file, target, scratch):
    """Print `page_file` to the file `target`; all of them stand below one folder, as a snap wants it."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += [f"--user-data-dir={scratch}", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
    done = subprocess.run(
        [chromium, *options, f"--print-to-pdf={target}", page_file.as_uri()], capture_output=True, text=True
    )
    if not target.exists():
        sys.exit(
            f"{chromium} printed nothing. If it is a snap, it sees your home folder only, and no hidden folder in it: "
            f"move the course there, or install another Chromium or Chrome. It said: {done.stderr[-300:].strip()}"
        )


def print_book(target):
    """Build the book as one page and print it to the file `target`."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit(MISSING)
    (ROOT / "_build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pdf-", dir=ROOT / "_build") as folder:  # a snap has another /tmp
        folder = Path(folder)
        jupyter_book = Path(sys.executable).parent / "jupyter-book"
        build = [jupyter_book, "build", "--quiet", "-W", "-n", "--keep-going", "--builder", "singlehtml"]
        subprocess.run([*build, "--path-output", folder, ROOT], check=True)
        page_file = folder / "_build" / "singlehtml" / "index.html"
        page_file.write_text(unfold(page_file.read_text(encoding="utf-8")), encoding="utf-8")
        printed = folder / "book.pdf"
        print_page(chromium, page_file, printed, folder / "profile")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(printed, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    target = parser.parse_args().target
    print_book(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")

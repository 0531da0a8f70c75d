"""Print the whole book as one PDF by Chromium, with an outline and page numbers: `make pdf`."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("_build") / "downloads" / "mastering-mlops.pdf"
MISSING = (
    "the PDF is printed by Chromium or Chrome, and none was found: on Debian or Ubuntu, apt install chromium"
)
SNAP = (
    "{} printed nothing. If it is a snap, it sees your home folder only, and no hidden folder in it: "
    "move the course there, or install another Chromium or Chrome. It said: {}"
)
DRIVER = "Playwright, which leads the browser, doesn't start: on Debian or Ubuntu, apt install libatomic1. It said: {}"


def find_chromium():
    """The path of the system's Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    usual = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")  # macOS has it on no path
    return found or (str(usual) if usual.exists() else None)


def print_page(chromium, page_file, target):
    """Print `page_file` to the file `target`, with all that is folded open; end the program if that fails."""
    try:
        playwright = sync_playwright().start()
    except Exception as error:  # it has no class of its own
        sys.exit(DRIVER.format(error))
    try:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(color_scheme="light")
        page.goto(page_file.as_uri(), wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        page.pdf(path=target, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        browser.close()
    except Error as error:
        sys.exit(SNAP.format(chromium, error.message.strip()[:300]))
    finally:
        playwright.stop()


def print_book(target):
    """Build the book as one page and print it to the file `target`."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit(MISSING)
    (ROOT / "_build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pdf-", dir=ROOT / "_build") as folder:  # a snap has another /tmp
        build = [
            sys.executable,
            ROOT / "scripts" / "book.py",
            "build",
            "--quiet",
            "-W",
            "-n",
            "--keep-going",
            "--builder",
            "singlehtml",
        ]
        subprocess.run([*build, "--path-output", folder, ROOT], check=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        print_page(chromium, Path(folder) / "_build" / "singlehtml" / "index.html", target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    target = parser.parse_args().target
    print_book(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")

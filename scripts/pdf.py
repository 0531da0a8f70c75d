"""Print the whole book as one PDF by Chromium, with an outline and page numbers: `make pdf`."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = Path("_build") / "downloads" / "mastering-mlops.pdf"


def find_chromium():
    """The path of the system's Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def print_book(target):
    """Build the book as one page in a temporary folder and print it to the file `target`."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit(
            "the PDF is printed by Chromium, and none was found: on Debian or Ubuntu, apt install chromium"
        )
    with tempfile.TemporaryDirectory() as folder:
        jupyter_book = Path(sys.executable).parent / "jupyter-book"
        build = [jupyter_book, "build", "--quiet", "-W", "-n", "--keep-going", "--builder", "singlehtml"]
        subprocess.run([*build, "--path-output", folder, ROOT], check=True)
        page_file = Path(folder) / "_build" / "singlehtml" / "index.html"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(color_scheme="light")
            page.goto(page_file.as_uri(), wait_until="load")
            page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
            target.parent.mkdir(parents=True, exist_ok=True)
            page.pdf(path=target, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    target = parser.parse_args().target
    print_book(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")

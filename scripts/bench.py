"""Print what the labs, the tests and the book cost on this machine: `make bench`."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import LABS, execute

ROOT = LABS.parent


def timed(*command, **options):
    """Seconds that a command takes; ends the program with its output when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - began


def row(what, *cells):
    print(f"{what:40}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def labs():
    row("lab", "wall s", "processor s", "peak MiB")
    processor = 0
    for path in sorted(LABS.glob("*.ipynb")):
        _, cost = execute(path)
        processor += cost["cpu_seconds"]
        row(path.stem, *(f"{cost[name]:.0f}" for name in ("seconds", "cpu_seconds", "mebibytes")))
    return processor


def tests(processor):
    print()
    row("tests", "wall s")
    row("make test", f"{timed('make', 'test', cwd=ROOT):.0f}")
    row(f"bound: labs' processor time on {os.cpu_count()} cores", f"{processor / os.cpu_count():.0f}")


def weigh(html):
    """Print what a first visit to a page of each kind transfers: the page and the files its head and body name."""
    print()
    row("first visit", "gzipped KiB", "raw KiB", "requests")
    for kind in ("index.html", "chapters/*.html", "labs/*.html"):
        heaviest = max(html.glob(kind), key=lambda page: page.stat().st_size)
        named = re.findall(
            r'(?:<link rel="stylesheet"|<script|<img)[^>]* (?:href|src)="([^"?]+)', heaviest.read_text()
        )
        fonts = list(html.glob("_static/fonts/*.woff2"))
        files = [heaviest, *fonts, *(heaviest.parent / name for name in named)]
        content = [file.read_bytes() for file in files]
        row(
            str(heaviest.relative_to(html)),
            f"{sum(len(gzip.compress(part)) for part in content) / 1024:.0f}",
            f"{sum(map(len, content)) / 1024:.0f}",
            len(files),
        )


def book():
    """Clean build, rebuild after one word changed, and the weight of pages, in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
        copy = shutil.copytree(ROOT, Path(folder) / "book", ignore=kept_out)
        build = ["jupyter-book", "build", "-W", "-n", "--keep-going", copy]
        clean = timed(*build)
        pages = len(list((copy / "_build/html").rglob("*.html")))
        chapter = min((copy / "chapters").glob("*.md"))
        chapter.write_text(chapter.read_text() + "\nWord.\n")
        again = timed(*build)
        weigh(copy / "_build/html")
    print()
    row("book", "seconds", "per page")
    row(f"clean build, {pages} pages", f"{clean:.1f}", f"{clean / pages:.2f}")
    row("again after one word", f"{again:.1f}")


if __name__ == "__main__":
    processor = labs()
    tests(processor)
    book()

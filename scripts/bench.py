"""Print what the labs, the tests and the book cost on this machine: `make bench`.

`make bench LEARNERS=30` prints instead what a class costs that executes the core of a lab at the same moment, each
learner in a kernel of their own with all exercises open: when the first and the last see its end, and their memory.
That is the worst case, in which nobody reads or thinks.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import nbformat
import psutil
import yaml
from learner import files_for_learner, refresh
from pdf import find_chromium
from playwright.sync_api import sync_playwright
from record import LABS, execute, find

ROOT = LABS.parent
WORKERS = min(2, os.cpu_count())  # as many labs at a time

# at most, on two cores; the first is a ratio
RATIO = 1.15
TESTS = 10  # minutes
NOTHING, WORD, CLEAN = 3, 3, 20  # seconds


def timed(*command, **options):
    """Seconds that a command takes; ends the program with its output when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - began


def row(what, *cells):
    print(f"{what:40}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def bound(what, value, most, unit=""):
    """A row with a measured value, its bound, and whether it is kept."""
    row(what, f"{value:.2f}{unit}", f"<= {most}{unit}", "" if value <= most else "TOO MUCH")


def labs():
    """What each lab costs, and how well two at a time use the machine; returns their processor time in seconds."""
    row("lab", "wall s", "processor s", "peak MiB")
    began = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:  # each lab is a process of its own
        paths = sorted(LABS.glob("*.ipynb"))
        costs = [cost for _, cost in pool.map(execute, paths)]
    wall = time.perf_counter() - began
    for path, cost in zip(paths, costs, strict=True):
        row(path.stem, *(f"{cost[name]:.0f}" for name in ("seconds", "cpu_seconds", "mebibytes")))
    processor = sum(cost["cpu_seconds"] for cost in costs)
    print()
    row("labs: wall time two at a time", f"{wall:.0f} s")
    row("labs: kernels' processor time", f"{processor:.0f} s")
    bound("labs: wall / (processor time / cores)", wall / (processor / WORKERS), RATIO)
    return processor


def core(path):
    """The code of a learner's lab at `path`, up to *Take away*."""
    notebook = nbformat.read(path, as_version=4)
    end = next(n for n, cell in enumerate(notebook.cells) if "## Take away" in cell.source)
    notebook.cells = [cell for cell in notebook.cells[:end] if cell.cell_type == "code"]
    return notebook


def a_class(learners, lab):
    """What it costs when `learners` people execute the core of the lab named `lab` at the same moment."""
    files = files_for_learner()
    free = psutil.virtual_memory().available
    least, over = free, threading.Event()

    def watch():
        nonlocal least
        while not over.wait(0.5):
            least = min(least, psutil.virtual_memory().available)

    def one(home):
        path = home / "my-labs" / f"{lab}.ipynb"
        _, cost = execute(path, core(path), every=5)
        return cost["seconds"], cost["mebibytes"]

    watching = threading.Thread(target=watch)
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, str(number)) for number in range(learners)]
        for home in homes:
            home.mkdir()
            refresh(home / "my-labs", files)
            (home / "data").symlink_to(ROOT / "data")
        watching.start()
        try:
            with ThreadPoolExecutor(learners) as pool:
                ended = sorted(pool.map(one, homes))
        finally:
            over.set()
            watching.join()
    wall = max(seconds for seconds, _ in ended)
    row(f"{learners} kernels, core of {lab}")
    row("first at its end", f"{ended[0][0]:.0f} s")
    row("median", f"{median(seconds for seconds, _ in ended):.0f} s")
    row("last", f"{wall:.0f} s")
    row("memory of a kernel, median of peaks", f"{median(peak for _, peak in ended):.0f} MiB")
    row(
        "memory of all together",
        f"{(free - least) / 2**30:.1f} GiB",
        f"{(free - least) / learners / 2**20:.0f} each",
    )
    row("processors", os.cpu_count())


def tests(processor):
    print()
    bound("make test", timed("make", "test", cwd=ROOT) / 60, TESTS, " min")
    row("of it, labs cannot take less than", f"{processor / WORKERS / 60:.2f} min")


@contextmanager
def served(html):
    """The address of the book at `html`, served from loopback as it stands, uncompressed."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection serves more than one file, as everywhere

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=html)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def kinds(html):
    """The heaviest page of each kind, as its address below the book's."""
    for kind in ("index.html", "chapters/*.html", "labs/*.html", "practice.html", "glossary.html"):
        yield max(html.glob(kind), key=lambda page: page.stat().st_size).relative_to(html).as_posix()


def weigh(html):
    """Print what a browser transfers on a first visit to a page of each kind."""
    print()
    row("first visit", "gzipped KiB", "raw KiB", "requests")
    with served(html) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for name in kinds(html):
            page, asked = browser.new_context().new_page(), []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(address + name, wait_until="networkidle")
            files = [html / urlsplit(url).path.lstrip("/") for url in asked if url.startswith(address)]
            content = [file.read_bytes() for file in files]
            gzipped = sum(len(gzip.compress(part)) for part in content)
            row(name, f"{gzipped / 1024:.0f}", f"{sum(map(len, content)) / 1024:.0f}", len(files))
        browser.close()


def crowd(html, count):
    """Make the practice page at `html` hold `count` questions: those of the book, again and again."""
    script, page = html / "questions.js", html / "practice.html"
    before, content, after = re.fullmatch(r"(\S+ = )(.*)(;\n)", script.read_text(), re.S).groups()
    content = json.loads(content)
    bank = content["questions"]
    names = [f"{bank[number % len(bank)]['name']}-{number}" for number in range(count)]
    content["questions"] = [bank[number % len(bank)] | {"name": name} for number, name in enumerate(names)]
    script.write_text(before + json.dumps(content, ensure_ascii=False) + after)
    text = page.read_text()
    items = re.findall(r'<li data-name="[^"]*">.*?</li>', text, re.S)
    again = [
        re.sub(r'data-name="[^"]*"', f'data-name="{name}"', items[number % len(items)])
        for number, name in enumerate(names)
    ]
    head, _, rest = text.partition(items[0])
    tail = rest.rpartition(items[-1])[2]
    page.write_text(head + "\n".join(again) + tail)


def filters(html):
    """Print how long the practice page takes to filter, with as many questions as it may come to hold."""
    print()
    row("practice: filter by a word", "first ms", "later ms", "shown")
    typed = """word => {
        const box = document.querySelector("form.filters [name=text]"), began = performance.now();
        box.value = word;
        box.dispatchEvent(new Event("input", { bubbles: true }));
        document.body.offsetHeight;  // with the new layout
        return performance.now() - began;
    }"""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for count in (150, 1500):
            crowded = shutil.copytree(html, Path(folder) / str(count))
            crowd(crowded, count)
            with served(crowded) as address:
                page = browser.new_page()
                page.goto(address + "practice.html#find", wait_until="networkidle")
                first = page.evaluate(typed, "drift")
                later = median(
                    page.evaluate(typed, word) for word in ("seed", "cost", "gate", "week", "drift")
                )
                shown = page.locator("li[data-name]:visible").count()
                assert 0 < shown < count, "the filter found nothing, or all"
            row(f"{count} questions", f"{first:.0f}", f"{later:.0f}", shown)
        browser.close()


def lighthouse(html):
    """Print Lighthouse's scores on its slow phone, each the median of three visits."""
    print()
    if shutil.which("lighthouse") is None:
        return print("Lighthouse is not installed: npm install --global lighthouse", flush=True)
    scores = ("performance", "accessibility", "best-practices", "seo")
    row("Lighthouse, slow phone", "performance", "accessible", "practices", "SEO")
    flags = "--chrome-flags=--headless=new --no-sandbox --disable-gpu"
    with served(html) as address:
        for name in kinds(html):
            command = ["lighthouse", address + name, "--quiet", "--output=json", flags]
            environment = os.environ | {"CHROME_PATH": find_chromium()}
            visits = [
                json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
                for _ in range(3)
            ]
            row(
                name,
                *(
                    f"{100 * median(visit['categories'][score]['score'] for visit in visits):.0f}"
                    for score in scores
                ),
            )


def multiply(book, times):
    """Put each chapter and lab into the book `times` times, to see how its build grows."""
    contents = yaml.safe_load((book / "_toc.yml").read_text())
    files = []
    for page in [*book.glob("chapters/*.md"), *book.glob("labs/*.ipynb")]:
        for number in range(2, times + 1):
            again = page.with_stem(f"{page.stem}_{number}")
            again.write_text(page.read_text().replace(":name: ", f":name: again-{number}-"))
            files.append({"file": again.relative_to(book).with_suffix("").as_posix()})
    contents["parts"].append({"caption": "Again", "chapters": files})
    (book / "_toc.yml").write_text(yaml.safe_dump(contents))


def book():
    """Clean build, rebuild after one word changed, growth, and the weight of pages, in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
        copy = shutil.copytree(ROOT, Path(folder) / "book", ignore=kept_out)
        html = copy / "_build" / "html"
        build = [sys.executable, copy / "scripts" / "book.py", "build", "-n", "--keep-going", copy]

        def measure(what, most, *options):
            seconds = timed(*build, *options)
            bound(f"{what}, {len(list(html.rglob('*.html')))} pages", seconds, most, " s")

        print()
        measure("clean build", CLEAN, "-W")
        measure("build of nothing", NOTHING, "-W")
        chapter = min((copy / "chapters").glob("*.md"))
        chapter.write_text(chapter.read_text() + "\nWord.\n")
        measure("build after one word", WORD, "-W")
        weigh(html)
        filters(html)
        lighthouse(html)
        multiply(copy, 4)
        shutil.rmtree(copy / "_build")
        measure("each chapter and lab four times", 4 * CLEAN)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learners", type=int, help="of a class, which alone is measured then")
    parser.add_argument("--lab", default="07_drift_detection", help="which the class executes")
    chosen = parser.parse_args()
    if chosen.learners:
        a_class(chosen.learners, find(chosen.lab).stem)
    else:
        tests(labs())
        book()


if __name__ == "__main__":
    main()

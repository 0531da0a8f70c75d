"""Set the cover's drawing beside the title, for where a file must stand for the book: `python scripts/poster.py`.

`_assets/card.png` is what a shared link shows, `_assets/cover.png` the front of the EPUB.
"""

import sys

from cover import ROOT, TARGET
from pdf import find_chromium
from playwright.sync_api import sync_playwright

ASSETS = ROOT / "_assets"
SIZES = {"card": (1200, 630), "cover": (800, 1200)}  # what messengers and reading systems ask for
POSTER = """<!DOCTYPE html>
<link rel="stylesheet" href="book.css"><link rel="stylesheet" href="drawings.css">
<style>
  :root { --font-stack: "Source Serif 4"; --color-brand-primary: #0b5c7a; --color-ask: #8a3a00; --color-foreground-primary: #1c2227; }
  body { margin: 0; height: 100vh; box-sizing: border-box; display: grid; background: #fdfdfb; color: #1c2227; border-bottom: 14px solid #0b5c7a; }
  h1 { margin: 0; font: 800 88px/1 "Source Serif 4"; letter-spacing: -0.02em; }
  p { margin: 0; font: italic 42px/1.25 "Source Serif 4"; color: #0b5c7a; text-wrap: balance; }
  .card { grid: 1fr 1fr / 500px 1fr; gap: 28px 48px; padding: 56px 68px 52px 76px; }
  .card h1 { align-self: end; }
  .card .drawing { grid-area: 1 / 2 / 3; align-self: center; margin: 0; }
  .cover { grid: auto 1fr auto / 1fr; padding: 84px 76px 76px; }
  .cover h1 { font-size: 112px; }
  .cover .drawing { zoom: 1.45; align-self: center; margin: 0; }
  .cover p { font-size: 50px; }
  .drawing text { font-size: 17px; }
  .cover .drawing text { font-size: 15px; }
</style>
<body class="%s"><h1>Mastering MLOps</h1><figure class="drawing">%s</figure><p>What interviews ask, answered with evidence.</p>
"""

if __name__ == "__main__":
    chromium = find_chromium()
    if chromium is None:
        sys.exit(
            "posters are drawn by Chromium, and none was found: on Debian or Ubuntu, apt install chromium"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((ASSETS / "book.css").as_uri())  # beside it, its fonts are found
            poster = POSTER % (name, TARGET.read_text(encoding="utf-8"))
            page.set_content(poster)
            page.evaluate("Promise.allSettled([...document.fonts].map(face => face.load()))")
            page.set_content(poster)  # again: the style sheet takes a font only if it is there at once
            page.screenshot(path=ASSETS / f"{name}.png")
        browser.close()

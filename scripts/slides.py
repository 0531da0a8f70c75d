"""A chapter as slides: `make slides CH=07`.

One file in `_build/workshop/`, made of the built page and of the records of the chapter's labs, that asks nothing of any
server. A section becomes its heading with its first sentence, and a slide for each drawing, plot, table, piece of code
and quiz in it; what the book says beside them is the speaker's notes. After the chapter come its labs: what one will
do, each prediction, what came of it, each plot. Whatever a browser prints has a slide on each page.

Keys: arrows, space, Page Up and Page Down, Home, End; N shows the notes.
"""

import argparse
import re
import sys
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from minutes import minutes, total
from paper import html

ROOT = Path(__file__).parent.parent
LEFT_OUT = ("Interview questions", "Further reading", "Try it")
SPOKEN = 130  # words a minute
VOTE = 2  # minutes for a prediction or a quiz: think, vote, talk
LOOK = 1  # minutes for a drawing, a plot, a table
ROWS, LINES = 6, 18  # of a table, of code: more are not read from the last row of a room
PNG = "image/png"


@dataclass
class Slide:
    """What is shown (HTML), what is said (HTML), and how many minutes both take."""

    shown: str
    notes: str = ""
    minutes: float = LOOK


class NoChapter(ValueError):
    """A chapter that cannot be shown; the sentence says why and what to do."""


def chapter(name, folder=ROOT / "chapters"):
    """The chapter's stem, of a name such as 07 or 07_drift. Raises NoChapter."""
    stems = sorted(path.stem for path in folder.glob("[0-9][0-9]_*.md"))
    found = [stem for stem in stems if name in (stem, stem.partition("_")[0], str(int(stem[:2])))]
    if not found:
        raise NoChapter(f"there is no chapter {name!r}; there are {', '.join(stems)}")
    return found[0]


def settled(node, page):
    """`node` of the built `page` (a path) as it stands alone: pictures inside, links as their words, no anchors."""
    for link in node.select("a.headerlink, script, button"):
        link.decompose()
    for image in node.select("img"):
        content = (page.parent / image["src"]).resolve().read_bytes()
        image["src"] = f"data:{PNG};base64,{b64encode(content).decode()}"
        del image["loading"]
    for link in node.select("a"):
        link.unwrap()
    for tagged in node.select("[id]"):
        del tagged["id"]
    return node


def first_sentence(text):
    """The first sentence of a paragraph (plain text)."""
    return re.split(r"(?<=[.?!])\s", " ".join(text.split()), maxsplit=1)[0]


def spoken(notes):
    """Minutes to say `notes` (HTML)."""
    return len(BeautifulSoup(notes, "html.parser").get_text().split()) / SPOKEN


def pieces(node):
    """`node` as what a slide can hold: a long table in parts with its heading, long code in parts, unhighlighted."""
    rows = node.select("tbody > tr") if "table-wrapper" in node.get("class", []) else []
    if len(rows) > ROWS:
        parts = -(-len(rows) // ROWS)
        for part in range(parts):
            piece = BeautifulSoup(str(node), "html.parser")
            for number, row in enumerate(piece.select("tbody > tr")):
                if number * parts // len(rows) != part:
                    row.decompose()
            yield str(piece)
        return
    lines = node.pre.get_text().rstrip("\n").split("\n") if node.pre else []
    if len(lines) > LINES:
        parts = -(-len(lines) // LINES)
        size = -(-len(lines) // parts)
        for begin in range(0, len(lines), size):
            yield f"<pre>{escape(chr(10).join(lines[begin : begin + size]))}</pre>"
        return
    yield str(node)


def quiz(node):
    """A quiz twice: what is asked, then with what each option is."""
    question = node.select_one(".quiz-question").decode_contents()
    options = [option.summary.decode_contents() for option in node.select("details.option")]
    asked = "".join(f"<li>{option}</li>" for option in options)
    yield Slide(
        f"<h3>{question}</h3><ul class='options'>{asked}</ul>", "<p>Let everybody vote first.</p>", VOTE
    )
    answered = "".join(
        f"<li class='{'right' if 'right' in option['class'] else 'wrong'}'>{option.summary.decode_contents()}"
        f"{''.join(str(part) for part in option.find_all('p'))}</li>"
        for option in node.select("details.option")
    )
    yield Slide(f"<h3>{question}</h3><ul class='options'>{answered}</ul>")


def is_visual(node):
    classes = node.get("class", [])
    return (
        node.name == "figure"
        or "table-wrapper" in classes
        or any(c.startswith("highlight-") for c in classes)
    )


def opening(section, heading):
    """What the first slide of a section shows below its heading: of an incident its story in first sentences."""
    sentences = [escape(first_sentence(node.get_text())) for node in section.find_all("p", recursive=False)]
    if heading.startswith("The incident"):
        return f"<ul>{''.join(f'<li>{sentence}</li>' for sentence in sentences)}</ul>"
    return f"<p class='lead'>{sentences[0]}</p>" if sentences else ""


def section_slides(section):
    """The slides of a section: its heading, then what there is to see, each with the words before it as notes."""
    heading = section.find(["h2", "h3"])
    level = heading.get_text().strip()
    slides = [Slide(f"<h2>{escape(level)}</h2>{opening(section, level)}", "", 0)]
    for node in section.find_all(True, recursive=False):
        classes = node.get("class", [])
        if node is heading or node.name == "details":
            continue
        if node.name == "section":
            slides += section_slides(node)
        elif "quiz" in classes:
            slides += quiz(node)
        elif is_visual(node):
            before = node.find_previous_sibling("p")
            leads = before is not None and before.get_text().rstrip().endswith(":")
            asked = f"<p>{escape(before.get_text().rstrip().splitlines()[-1])}</p>" if leads else ""
            slides += [Slide(f"<h3>{escape(level)}</h3>{asked}{piece}") for piece in pieces(node)]
        elif node.name in ("ul", "ol"):
            points = "".join(
                f"<li>{escape(first_sentence(item.get_text()))}</li>" for item in node.find_all("li")
            )
            slides.append(Slide(f"<h3>{escape(level)}</h3><{node.name}>{points}</{node.name}>", str(node)))
        else:
            slides[-1].notes += str(node)
    for slide in slides:
        slide.minutes += spoken(slide.notes)
    return slides


def chapter_slides(page):
    """The slides of the built chapter at `page`."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one("article section")
    settled(article, page)
    opening = article.find_all(["p", "ul"], recursive=False)
    able = article.find("ul", recursive=False)
    motto = next((str(node) for node in opening if node.find("em")), "")
    yield Slide(f"<h1>{article.h1.decode_contents()}</h1>{motto}")
    if able:
        yield Slide(f"<h2>You will be able to</h2>{able}")
    for section in article.find_all("section", recursive=False):
        if section.h2.get_text().strip() not in LEFT_OUT:
            yield from section_slides(section)


def plain(source):
    """A lab's Markdown for the wall: links as their words."""
    return re.sub(r"(?<!!)\[([^\]]*)\]\([^)]*\)", r"\1", source)


def lab_slides(notebook):
    """The slides of a lab: what one will do, each prediction and what came of it, each plot, what one takes away."""
    first = notebook.cells[0].source
    title, _, rest = first.partition("\n")
    facts = f"{total(minutes(notebook)['core'])} minutes at the desk"
    yield Slide(html(f"# {title.removeprefix('# ')}\n\n*{facts}*"), html(plain(rest)), spoken(rest))
    before = asked = ""
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            before = plain(re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S))
            if "**Predict.**" in cell.source:
                said_before, _, asked = before.partition("**Predict.**")
                yield Slide(f"<h3>What do you expect?</h3>{html(asked)}", html(said_before), VOTE)
            if cell.source.startswith("## Take away"):
                yield Slide(
                    f"<h2>Take away</h2>{html(re.sub('^## .*', '', before).split('Asked in interviews')[0])}"
                )
            continue
        printed = "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")
        if "compare(guess" in cell.source and (found := re.search(r"It was: .*", printed)):
            yield Slide(
                f"<h3>What do you expect?</h3>{html(asked)}<p class='lead right'>{escape(found[0])}</p>",
                html(before),
            )
        for output in cell.outputs:
            if PNG in output.get("data", {}):
                alternative = escape(
                    cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""), quote=True
                )
                picture = output["data"][PNG].replace("\n", "")
                yield Slide(f"<img src='data:{PNG};base64,{picture}' alt='{alternative}'>", html(before))


STYLE = """
:root { --font-stack: "Helvetica Neue", Arial, sans-serif; --color-foreground-primary: #16191c;
  --color-foreground-secondary: #565b60; --color-foreground-muted: #6b7075; --color-background-primary: #fff;
  --color-background-secondary: #f1f2ec; --color-brand-primary: #0b5c7a; --color-ask: #a85327; }
* { box-sizing: border-box; }
html, body { margin: 0; background: #d9dad5; }
body { font: 30px/1.4 var(--font-stack); color: var(--color-foreground-primary); }
.slide { position: relative; width: 1280px; height: 720px; overflow: hidden; background: #fff; margin: 0 auto 1rem; }
.stage { padding: 40px 64px 56px; transform-origin: 0 0; }
.number { position: absolute; right: 24px; bottom: 12px; font-size: 18px; color: #565b60; }
h1 { font-size: 60px; line-height: 1.15; margin: 160px 0 30px; } h2 { font-size: 48px; line-height: 1.15; margin: 0 0 30px; }
h3 { font-size: 32px; margin: 0 0 24px; color: #0b5c7a; } .lead { font-size: 38px; } p { margin: 0 0 20px; }
figure { margin: 0; } img { display: block; max-width: 100%; max-height: 590px; margin: auto; } figcaption { font-size: 24px; }
figure.plot img { max-height: 470px; } .drawing svg { font-size: 20px; } .drawing { max-width: 900px; margin: auto; }
table { border-collapse: collapse; width: 100%; font-size: 24px; } td, th, code, pre { overflow-wrap: anywhere; } td, th { border-bottom: 1px solid #bbb; padding: 8px 12px;
  text-align: left; vertical-align: top; } pre { font: 22px/1.4 Consolas, "DejaVu Sans Mono", monospace; background: #f5f5f2;
  padding: 16px; margin: 0; white-space: pre-wrap; } code { font-family: Consolas, "DejaVu Sans Mono", monospace; font-size: .9em; }
li { margin: 0 0 10px; } .options { list-style: none; padding: 0; } .options li { margin: 0 0 14px; } .options li p { font-size: 22px; margin: 4px 0; }
.right { color: #0b5c7a; } .wrong { color: #565b60; }
.notes { display: none; }
.shown .slide { position: absolute; left: 0; top: 0; margin: 0; visibility: hidden; transform-origin: 0 0; }
.shown .slide.now { visibility: visible; }
.shown body { overflow: hidden; }
nav { display: none; position: fixed; left: 8px; bottom: 6px; z-index: 2; } .shown nav { display: block; }
nav button { font: 16px var(--font-stack); padding: 4px 12px; opacity: .75; }
.speaking .slide.now + .notes { display: block; position: fixed; left: 0; right: 0; bottom: 0; max-height: 45vh; overflow: auto;
  z-index: 1; background: #fffdf2; border-top: 2px solid #0b5c7a; font-size: 18px; padding: 10px 20px 50px; }
@page { size: 1280px 720px; margin: 0; }
@media print { html, body { background: none; } nav, .notes { display: none !important; }
  .slide, .shown .slide { position: relative !important; visibility: visible !important; transform: none !important; margin: 0; break-after: page; } }
"""

SCRIPT = """
const slides = [...document.querySelectorAll('.slide')], root = document.documentElement;
root.classList.add('shown');
for (const slide of slides) {  // what is too large for a slide is made smaller as a whole
  const stage = slide.querySelector('.stage');
  let scale = 1;
  for (let turn = 0; turn < 12 && stage.getBoundingClientRect().height / factor(slide) > 720; turn++) {
    scale *= Math.max(.8, Math.min(.97, 720 / (stage.getBoundingClientRect().height / factor(slide))));
    stage.style.width = 1280 / scale + 'px';
    stage.style.transform = `scale(${scale})`;
  }
  slide.dataset.scale = scale.toFixed(2);
}
function factor(slide) { return slide.getBoundingClientRect().width / 1280; }
function fit() {
  const scale = Math.min(innerWidth / 1280, innerHeight / 720);
  for (const slide of slides)
    slide.style.transform = `translate(${(innerWidth - 1280 * scale) / 2}px, 0) scale(${scale})`;
}
let at = 0;
function go(to) {
  slides[at].classList.remove('now');
  at = Math.max(0, Math.min(slides.length - 1, to));
  slides[at].classList.add('now');
  history.replaceState(null, '', '#' + (at + 1));
  document.querySelector('[role=status]').textContent = `Slide ${at + 1} of ${slides.length}`;
}
const keys = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, ' ': 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1,
  Home: -Infinity, End: Infinity};
addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'n' || event.key === 'N') root.classList.toggle('speaking');
  else if (event.key in keys && !(event.key === ' ' && event.target.matches('button'))) go(at + keys[event.key]);
  else return;
  event.preventDefault();
});
document.querySelector('#back').onclick = () => go(at - 1);
document.querySelector('#on').onclick = () => go(at + 1);
document.querySelector('#notes').onclick = () => root.classList.toggle('speaking');
addEventListener('resize', fit);
addEventListener('hashchange', () => go((parseInt(location.hash.slice(1)) || 1) - 1));
fit();
go((parseInt(location.hash.slice(1)) || 1) - 1);
"""


def deck(title, slides):
    """One HTML file that shows `slides`."""
    drawings = (ROOT / "_assets" / "drawings.css").read_text(encoding="utf-8")
    parts = [
        f"<section class='slide' aria-label='Slide {number}'><div class='stage'>{slide.shown}</div>"
        f"<div class='number'>{number}</div></section>\n"
        f"<aside class='notes'><p><em>About {max(1, round(slide.minutes))} min</em></p>{slide.notes}</aside>\n"
        for number, slide in enumerate(slides, 1)
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{drawings}{STYLE}</style></head>\n<body>{''.join(parts)}"
        "<nav><button id='back'>Back</button> <button id='on'>On</button> <button id='notes'>Notes</button>"
        "<span role='status' style='position:absolute;clip-path:inset(50%)'></span></nav>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def slides(stem, book):
    """(title, slides) of the chapter `stem`, from the built `book` (a path). Raises NoChapter where it isn't built."""
    page = book / "chapters" / f"{stem}.html"
    if not page.exists():
        raise NoChapter(f"{page} is missing: run `make book` first")
    made = list(chapter_slides(page))
    labs = [nbformat.read(path, as_version=4) for path in (ROOT / "labs").glob(f"{stem[:2]}_*.ipynb")]
    for lab in sorted(labs, key=lambda lab: lab.cells[0].source.splitlines()[0]):  # by number
        made += lab_slides(lab)
    return BeautifulSoup(made[0].shown, "html.parser").h1.get_text().strip(), made


def starts(made):
    """Yield (number, title) of each slide of `made` that begins a lab."""
    for number, slide in enumerate(made[1:], 2):
        if heading := BeautifulSoup(slide.shown, "html.parser").h1:
            yield number, heading.get_text().strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", help="for example 07")
    try:
        stem = chapter(parser.parse_args().chapter)
        title, made = slides(stem, ROOT / "_build" / "html")
    except NoChapter as fault:
        sys.exit(str(fault))
    target = ROOT / "_build" / "workshop" / f"slides-{stem}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(deck(title, made), encoding="utf-8")
    total = sum(slide.minutes for slide in made)
    print(
        f"Open {target.relative_to(ROOT)}: {len(made)} slides, about {round(total)} minutes with their notes"
    )
    for number, lab in starts(made):
        print(f"  from #{number}: {lab}")


if __name__ == "__main__":
    main()

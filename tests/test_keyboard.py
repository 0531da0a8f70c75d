"""The book by keyboard alone: everything is reached, and a reader always sees where the focus is."""

import pytest
from conftest import DESK, PHONE

pytestmark = pytest.mark.xdist_group("reader")

LAB = "labs/07_drift_detection.html"
PAGES = ["index.html", "chapters/07_drift.html", LAB, "practice.html", "search.html?q=drift"]

on_a_phone = pytest.mark.parametrize("context", [(PHONE, "light")], ids=["phone"], indirect=True)
on_both = pytest.mark.parametrize(
    "context", [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"], indirect=True
)

# Where the focus is, and why it is not seen; null when it has left the page or come back to where it was.
FOCUS = """() => {
  const node = document.activeElement, style = getComputedStyle(node), box = node.getBoundingClientRect();
  window.reached ??= new Set();
  if (node === document.body || window.reached.has(node)) return null;
  window.reached.add(node);
  const header = document.querySelector("header"), drawer = node.closest(":popover-open");
  const top = drawer || header.contains(node) ? 0 : header.getBoundingClientRect().bottom;
  const faults = [];
  if (!node.checkVisibility({opacityProperty: true, visibilityProperty: true})) faults.push("hidden");
  if (box.right <= 0 || box.left >= innerWidth || box.bottom <= top || box.top >= innerHeight) faults.push("off screen");
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) faults.push("no outline");
  return `${faults.join(", ")} ${node.outerHTML.slice(0, 120)}`;
}"""
# What a pointer reaches and the focus never did.
UNREACHED = """() => [...document.querySelectorAll("a[href], button, input, select, summary, label[for]")]
  .filter(node => node.checkVisibility({opacityProperty: true, visibilityProperty: true}))
  .filter(node => !window.reached.has(node.control ?? node))
  .map(node => node.outerHTML.slice(0, 120))"""


def walk(page, key):
    """Press `key` until the focus has been everywhere; return where it was not seen."""
    stops = []
    while stop := (page.keyboard.press(key), page.evaluate(FOCUS))[1]:
        stops.append(stop)
    return [stop for stop in stops if not stop.startswith(" ")]


@on_both
@pytest.mark.parametrize("name", PAGES)
def test_the_focus_reaches_everything_and_is_seen_there(context, address, name):
    page = context.new_page()
    page.goto(address + name, wait_until="networkidle")
    assert not walk(page, "Tab")
    assert not page.evaluate(UNREACHED)
    page.evaluate("window.reached.clear()")
    assert not walk(page, "Shift+Tab")


@on_both
def test_the_first_stop_skips_to_the_content(context, address):
    page = context.new_page()
    page.goto(address + LAB, wait_until="load")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article') !== null")


@on_a_phone
@pytest.mark.parametrize("name", ["The book", "This page"])
def test_a_drawer_opens_takes_the_focus_and_gives_it_back(context, address, name):
    page = context.new_page()
    page.goto(address + LAB, wait_until="load")
    button, drawer = page.get_by_role("button", name=name), page.get_by_role("complementary", name=name)
    assert drawer.count() == 0, "a closed drawer is not there for anybody"
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert drawer.evaluate("drawer => drawer.contains(document.activeElement)")
    page.keyboard.press("Escape")
    drawer.wait_for(state="hidden")
    assert button.evaluate("button => button === document.activeElement")


@on_a_phone
def test_search_is_reached_and_answers(context, address):
    page = context.new_page()
    page.goto(address + "index.html", wait_until="load")
    page.get_by_role("button", name="The book").press("Enter")
    page.get_by_role("textbox", name="Search").focus()
    page.keyboard.type("planted fault")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")


def test_a_chapter_unfolds_its_labs_in_the_sidebar(context, address):
    page = context.new_page()
    page.goto(address + "index.html", wait_until="load")
    lab = page.locator(".sidebar-tree").get_by_role("link", name="Lab 7.1")
    assert not lab.is_visible()
    page.get_by_role("switch", name="7 · Drift and degradation").press("Space")
    assert lab.is_visible()


def test_a_folded_solution_opens(context, address):
    page = context.new_page()
    page.goto(address + LAB, wait_until="load")
    folded = page.locator("details:has(.cell_input)").first
    folded.locator("summary").press("Enter")
    assert folded.locator("pre").is_visible()


@on_a_phone
@pytest.mark.parametrize("wide", [".cell_input pre", ".dataframe-wrapper", ".table-wrapper"])
def test_what_is_wider_than_the_phone_scrolls(context, address, wide):
    page = context.new_page()
    page.goto(address + ("chapters/07_drift.html" if wide == ".table-wrapper" else LAB), wait_until="load")
    found = page.locator(wide).evaluate_all(
        "nodes => nodes.findIndex(node => node.scrollWidth > node.clientWidth + 40)"
    )
    scroller = page.locator(wide).nth(found)
    scroller.press("ArrowRight")
    page.wait_for_function("node => node.scrollLeft > 0", arg=scroller.element_handle())

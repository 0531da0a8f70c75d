"""Drawings in the colours of the page: `{drawing}` writes an SVG file into the page, with its caption.

Sphinx's `figure` links a file, which the variables of a page's style do not reach, nor the reader's switch between
light and dark. Where the page's style may not be read, in an EPUB, a deck or the bank, it brings one of its own.
A drawing has its own text alternative, a <title> and a <desc>; without them the build fails.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

SVG = "{http://www.w3.org/2000/svg}"
ElementTree.register_namespace("", SVG[1:-1])


class drawing(nodes.General, nodes.Element):
    """An SVG that is part of the page, and its caption."""


def lacks(svg):
    """What the text of an SVG file lacks to be drawn in a page and read aloud; "" if nothing."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        return f"is not well-formed ({error})"
    if root.tag != f"{SVG}svg" or root.get("role") != "img":
        return 'does not begin with <svg xmlns="http://www.w3.org/2000/svg" role="img">'
    for name in ("title", "desc"):
        if not root.findtext(f"{SVG}{name}", "").strip():
            return f"has no <{name}>, so it cannot be read aloud"
    return ""


# What drawings.css says where no theme gives a colour, for places that don't read it: some readers of books, Anki.
WIDTH = 420  # in pixels, of a drawing that is drawn there; on narrower pages it shrinks as a whole
STYLE = {
    "fill": "none",
    "stroke": "#808080",
    "stroke-width": "1.5",
    "stroke-dasharray": "none",
    "color": "currentColor",
}
CLASSES = {  # in the order of the style sheet
    "main": {"color": "#2a7f9f", "stroke": "#2a7f9f"},
    "ask": {"color": "#b5602a", "stroke": "#b5602a"},
    "quiet": {"color": "#808080"},
    "paper": {"color": "none"},
    "solid": {"fill": "color", "stroke": "none"},
    "hollow": {"fill": "#ffffff"},
    "heavy": {"stroke-width": "3"},
    "dashed": {"stroke-width": "1", "stroke-dasharray": "2 4"},
    "strong": {"font-weight": "bold"},
}
STEP = re.compile(r"([MLHVCSZmlhvcsz])|(-?(?:\d+\.?\d*|\.\d+))")
AXES = {"M": "xy", "L": "xy", "H": "x", "V": "y", "C": "xyxyxy", "S": "xyxy", "Z": ""}


def shown(number):
    return f"{number:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Place:
    """Where the coordinates of an element lead: its viewport's size, and what turns them into those of the drawing."""

    size: dict
    shift: dict
    scale: dict
    clip: tuple = ()  # the first and the last y that are seen, if that is a part only

    def length(self, text, axis):
        """A length along `axis`, of which a percentage is one of the viewport."""
        if text.endswith("%"):
            return float(text[:-1]) / 100 * self.size[axis]
        return float(text)

    def point(self, text, axis):
        return self.shift[axis] + self.scale[axis] * self.length(text, axis)

    def path(self, steps):
        """The path `steps` in the coordinates of the drawing."""
        done, command, turn = [], "", 0
        for letter, number in STEP.findall(steps):
            if letter:
                command, turn = letter, 0
                done.append(letter)
                continue
            axes = AXES[command.upper()]
            axis = axes[turn % len(axes)]
            shift = 0 if command.islower() else self.shift[axis]
            done.append(shown(shift + self.scale[axis] * float(number)))
            turn += 1
        return re.sub(r" ?([A-Za-z]) ?", r"\1", " ".join(done))

    def inner(self, svg):
        """The place of what stands in `svg`, an SVG within the SVG."""
        box = {
            axis: self.length(svg.get(name, "100%"), axis) for axis, name in (("x", "width"), ("y", "height"))
        }
        shift = {axis: self.point(svg.get(axis, "0"), axis) for axis in "xy"}
        if "viewBox" not in svg.attrib:
            hidden = svg.get("overflow") != "visible" and "height" in svg.attrib
            clip = (shift["y"], shift["y"] + box["y"]) if hidden else self.clip
            return Place(box, shift, self.scale, clip)
        left, top, width, height = map(float, svg.get("viewBox").split())
        scale = {"x": box["x"] / width, "y": box["y"] / height}  # preserveAspectRatio="none"
        shift = {"x": shift["x"] - left * scale["x"], "y": shift["y"] - top * scale["y"]}
        return Place({"x": width, "y": height}, shift, scale, self.clip)


def outline(node):
    """The path that a line, a rectangle or a path draws, as the steps of a path."""
    number = {
        name: float(node.get(name, "0"))
        for name in ("x1", "x2", "y1", "y2", "x", "y", "width", "height", "rx")
    }
    if node.tag == f"{SVG}line":
        return "M{x1} {y1} L{x2} {y2}".format(**number)
    if node.tag == f"{SVG}path":
        return node.get("d")
    x, y, r = number["x"], number["y"], number["rx"]
    wide, high, bend = (
        number["width"] - 2 * r,
        number["height"] - 2 * r,
        r * 0.448,
    )  # a quarter of a circle, by Bézier
    corners = (f"c{r - bend} 0 {r} {bend} {r} {r}", f"c0 {r - bend} {-bend} {r} {-r} {r}")
    corners += (f"c{bend - r} 0 {-r} {-bend} {-r} {-r}", f"c0 {bend - r} {bend} {-r} {r} {-r}")
    return (
        f"M{x + r} {y} h{wide} {corners[0]} v{high} {corners[1]} h{-wide} {corners[2]} v{-high} {corners[3]}"
    )


def lines_of(steps):
    """The lines, each a list of points, that the path `steps` draws; a curve in sixteen pieces."""
    lines, at, bend, command, left = [], 0j, None, "", []
    for letter, number in STEP.findall(steps):
        if letter in ("Z", "z"):
            lines[-1].append(lines[-1][0])
            at = lines[-1][0]
        if letter:
            command, left = letter, []
            continue
        left.append(float(number))
        kind, origin = command.upper(), at if command.islower() else 0
        if len(left) < len(AXES[kind]):
            continue
        if kind in "HV":
            here = complex(left[0], 0) if kind == "H" else complex(0, left[0])
            points = [here + (origin if origin else (1j * at.imag if kind == "H" else at.real))]
        else:
            points = [origin + complex(*pair) for pair in zip(left[::2], left[1::2], strict=True)]
        left = []
        if kind == "M":
            lines.append(points)
            command = "l" if command == "m" else "L"  # as SVG reads what follows
        elif kind in "CS":
            one, two, end = points if kind == "C" else [at if bend is None else 2 * at - bend, *points]
            for n in range(1, 17):
                s, r = n / 16, 1 - n / 16
                lines[-1].append(r**3 * at + 3 * r * r * s * one + 3 * r * s * s * two + s**3 * end)
        else:
            lines[-1] += points
        bend, at = (two if kind in "CS" else None), points[-1]
    return lines


def clipped(lines, top, bottom):
    """What lies between the heights `top` and `bottom` of `lines`."""
    for line in lines:
        part = []
        for p, q in pairwise(line):
            rise = q.imag - p.imag
            ends = sorted(((top - p.imag) / rise, (bottom - p.imag) / rise)) if rise else (0, 1)
            first, last = max(0, ends[0]), min(1, ends[1])
            if first >= last or not (rise or top <= p.imag <= bottom):
                if part:
                    yield part
                part = []
                continue
            part = part or [p + first * (q - p)]
            part.append(p + last * (q - p))
        if part:
            yield part


def dashes(lines, on=2, off=4):
    """`lines` in dashes."""
    for line in lines:
        into, dash = 0, [line[0]]  # how far we are in the pattern
        for p, q in pairwise(line):
            done, length = 0, abs(q - p)
            while done < length:
                drawn = into < on
                step = min(length - done, (on if drawn else on + off) - into)
                done, into = done + step, into + step
                if drawn:
                    dash.append(p + (q - p) * done / length)
                if into >= on and len(dash) > 1:
                    yield dash
                    dash = []
                if into >= on + off:
                    into, dash = 0, [p + (q - p) * done / length]
        if len(dash) > 1:
            yield dash


def redraw(node, place, dashed):
    """Draw what is clipped or dashed as the lines that remain: not everything that draws an SVG can do either."""
    lines = lines_of(outline(node))
    if place.clip:
        lines = clipped(lines, *place.clip)
    if dashed:
        lines = dashes(lines)
    steps = ("M" + "L".join(f"{shown(p.real)} {shown(p.imag)}" for p in line) for line in lines)
    kept = node.get("class")
    node.tag = f"{SVG}path"
    node.attrib.clear()
    node.set("d", "".join(steps))
    if kept:
        node.set("class", kept)


def styled(node, style):
    """The style of `node`, whose surroundings have `style`."""
    style = style | ({"color": STYLE["color"]} if node.tag == f"{SVG}text" else {})
    names = node.get("class", "").split()
    for name in (name for name in CLASSES if name in names):
        style = style | CLASSES[name]
    return style | ({"fill": style["color"]} if style["fill"] == "color" else {})


def settle(node, place, style):
    """Give `node`, and what stands in it, coordinates in pixels and the style that it has, as attributes."""
    style = styled(node, style)
    kind = node.tag.removeprefix(SVG)
    if kind == "svg":
        place = place.inner(node)
        node.tag, kept = f"{SVG}g", node.get("class")
        node.attrib.clear()
        if kept:
            node.set("class", kept)
    elif kind not in ("title", "desc", "g"):
        least = {
            "line": ("x1", "x2", "y1", "y2"),
            "circle": ("cx", "cy"),
            "text": ("x", "y"),
            "rect": ("x", "y"),
        }
        for name in sorted(
            {*least.get(kind, ()), *node.attrib} & {"x", "x1", "x2", "cx", "y", "y1", "y2", "cy"}
        ):
            node.set(name, shown(place.point(node.get(name, "0"), name.strip("c12"))))
        for name, axis in (("width", "x"), ("height", "y")):
            if name in node.attrib:
                node.set(name, shown(place.length(node.get(name), axis)))
        if "d" in node.attrib:
            node.set("d", place.path(node.get("d")))
        dashed = style["stroke-dasharray"] != "none"
        if kind in ("path", "line", "rect") and (dashed or place.clip):
            redraw(node, place, dashed)
        if kind in ("text", "tspan"):
            look = {"fill": style["color"], "stroke": "none", "font-size": "13", "font-family": "sans-serif"}
            look |= {"font-weight": style["font-weight"]} if "font-weight" in style else {}
        else:
            look = {name: style[name] for name in ("fill", "stroke", "stroke-width")}
            look |= {"stroke-linecap": "round", "stroke-linejoin": "round"}
        for name, value in look.items():
            node.set(name, value)
    for child in node:
        settle(child, place, style)


def alone(svg):
    """The text of an SVG that is drawn as it should be where nothing reads the page's style: in pixels, without SVGs
    within, and with all that drawings.css gives it as attributes, which that file overrules where it is read."""
    root = ElementTree.fromstring(svg)
    height = float(root.get("height"))
    place = Place({"x": WIDTH, "y": height}, {"x": 0, "y": 0}, {"x": 1, "y": 1})
    for child in root:
        settle(child, place, STYLE)
    root.set("width", str(WIDTH))
    root.set("viewBox", f"0 0 {WIDTH} {shown(height)}")
    root.set("style", "max-width: 100%; height: auto")
    return ElementTree.tostring(root, encoding="unicode")


class Drawing(SphinxDirective):
    """The path of an SVG file, as in `figure`; below it the caption."""

    required_arguments = 1
    has_content = True
    option_spec = {"class": directives.class_option}  # noqa: RUF012 (docutils reads it so)

    def run(self):
        name, path = self.env.relfn2path(self.arguments[0])
        if not Path(path).is_file():
            raise self.error(f"there is no drawing {name}")
        self.env.note_dependency(name)
        svg = Path(path).read_text(encoding="utf-8")
        if lack := lacks(svg):
            raise self.error(f"{name} {lack}")
        figure = drawing(svg=svg, classes=self.options.get("class", []))
        self.set_source_info(figure)
        if self.content:
            caption, messages = self.parse_inline("\n".join(self.content), lineno=self.content_offset + 1)
            figure += [nodes.paragraph("", "", *caption), *messages]
        return [figure]


def begin(self, node):
    svg = alone(node["svg"]) if node.get("alone") or self.builder.name == "epub" else node["svg"]
    self.body += [self.starttag(node, "figure", CLASS="drawing"), svg, "<figcaption>" * len(node)]


def end(self, node):
    self.body += ["</figcaption>" * len(node), "</figure>\n"]


def setup(app):
    app.add_node(drawing, html=(begin, end))
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

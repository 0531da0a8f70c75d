"""How long a lab takes a learner, from the lab itself: `minutes(notebook)`.

Words at 200 a minute, code at 60 lines, half a minute for each output, one for each prediction, and for an exercise
the minutes in its cell's metadata (`course.minutes`). What is folded for those who are stuck, hints and solution,
counts for nothing. The core ends with the section *Take away*; what follows it is *Further*.
"""

import re

PARTS = ("reading", "code", "outputs", "predictions", "exercises")
UNSEEN = {"solution", "self-check", "glue", "remove-cell", "hints"}


def tags(cell):
    return cell["metadata"].get("tags", [])


def parts_of(cell):
    """{part: minutes} of one cell, a dict of nbformat 4."""
    if UNSEEN & set(tags(cell)):
        return {}
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return {
            "reading": len(re.findall(r"\w[\w'’.,-]*", re.sub(r"\]\([^)]*\)|<[^>]*>", " ", source))) / 200
        }
    found = {"code": sum(bool(line.strip()) for line in source.splitlines()) / 60}
    if "prediction" in tags(cell):
        found["predictions"] = 1
    if "exercise" in tags(cell):
        found["exercises"] = cell["metadata"].get("course", {}).get("minutes", 0)
    if cell.get("outputs"):
        found["outputs"] = 0.5
    return found


def minutes(notebook):
    """{"core": {part: minutes}, "further": {part: minutes}} of a notebook (nbformat 4), unrounded."""
    found = {name: dict.fromkeys(PARTS, 0.0) for name in ("core", "further")}
    section, over = "core", False
    for cell in notebook["cells"]:
        heading = (
            re.search(r"^## (.*)", "".join(cell["source"]), re.M) if cell["cell_type"] == "markdown" else None
        )
        if heading and over:
            section = "further"
        if heading and heading[1].strip() == "Take away":
            over = True
        for part, value in parts_of(cell).items():
            found[section][part] += value
    return found


def said(parts):
    """`parts` in whole minutes, as a page says them: "38 (12 reading, 6 code, …)"."""
    detail = ", ".join(f"{value:.0f} {part}" for part, value in parts.items() if round(value))
    return f"{total(parts)} ({detail})"


def total(parts):
    """All minutes of `parts`, as a whole number."""
    return round(sum(parts.values()))

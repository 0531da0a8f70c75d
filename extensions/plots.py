"""Plots of labs in chapters: `{plot}` shows what a cell of a lab has drawn, from its record.

    ```{plot} ../labs/07_drift_detection.ipynb::b024ce8d
    The caption: what the plot shows.
    ```

After :: stands the id of the cell; the text alternative is the cell's own (`mystnb.image.alt`). A plot that isn't there
fails the build.
"""

import json
import os
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

PNG = "image/png"


def read(path, cell_id):
    """The plot of a cell, as (bytes of a PNG, its text alternative). Raises ValueError with a sentence."""
    if not path.is_file():
        raise ValueError(f"there is no lab {path.name}")
    cells = {cell.get("id"): cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    if cell_id not in cells:
        raise ValueError(f"{path.name} has no cell {cell_id!r}")
    cell = cells[cell_id]
    drawn = [output["data"][PNG] for output in cell.get("outputs", []) if PNG in output.get("data", {})]
    if len(drawn) != 1:
        raise ValueError(f"the cell {cell_id!r} of {path.name} has {len(drawn)} plots, and one is wanted")
    alternative = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
    if not alternative:
        raise ValueError(f"the cell {cell_id!r} of {path.name} has no mystnb.image.alt")
    return b64decode(drawn[0]), alternative


class Plot(SphinxDirective):
    required_arguments = 1
    has_content = True

    def run(self):
        name, _, cell_id = self.arguments[0].partition("::")
        _, path = self.env.relfn2path(name)
        self.env.note_dependency(path)
        if not self.content:
            raise self.error("a plot needs a caption, which says what it shows")
        try:
            content, alternative = read(Path(path), cell_id)
        except ValueError as fault:
            raise self.error(str(fault)) from None
        image = nodes.image(uri=self.keep(content), alt=alternative)
        said, messages = self.state.inline_text(" ".join(self.content), self.lineno)
        figure = nodes.figure("", image, nodes.caption("", "", *said), classes=["plot"])
        self.set_source_info(figure)
        return [figure, *messages]

    def keep(self, content):
        """Write the picture beside the built book, as MyST-NB does; return where Sphinx finds it."""
        app = self.env.app
        folder = Path(app.outdir).parent / "jupyter_execute"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sha256(content).hexdigest()}.png"
        if not path.exists():
            path.write_bytes(content)
        where = path.resolve()
        return where.as_posix() if os.name == "nt" else "/" + os.path.relpath(where, app.srcdir)


def setup(app):
    app.add_directive("plot", Plot)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""The edition for a class, `make book EDITION=class`: the pages without the labs' solutions, which are released later.

Neither the pages nor their search nor the copies for download hold a solution then. The next `make book` shows them.
"""

import os

from docutils import nodes

LATER = "Your instructor shows the solution after the exercise."


def configure(app, config):
    config.edition = os.environ.get("EDITION", "")  # scripts/book.py knows which there are


def leave_out_solutions(app, doctree):
    """Put a sentence in the place of each solution of a lab."""
    if app.config.edition == "class":
        for cell in list(doctree.findall(nodes.container)):
            if "tag_solution" in cell["classes"]:
                cell.replace_self(nodes.paragraph("", LATER))


def setup(app):
    app.add_config_value(
        "edition", "", "env", str
    )  # pages that were read for the other edition are read again
    app.connect("config-inited", configure)
    app.connect("doctree-read", leave_out_solutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

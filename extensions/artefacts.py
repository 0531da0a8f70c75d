"""Figures of worked artefacts: the role `artefact` prints what a program in chapters/artefacts/ computed.

{artefact}`waiting::p99_half:.0f` prints the figure `p99_half` of chapters/artefacts/waiting.json, in the format that
may follow the second colon, as `glue:text` does for labs. The file is what `python chapters/artefacts/waiting.py`
printed; a test runs it again and compares. A figure that isn't there fails the build.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxRole


class Figure(SphinxRole):
    def run(self):
        written = re.fullmatch(r"(?P<file>\w+)::(?P<key>[\w.-]+)(:(?P<format>.+))?", self.text)
        name = f"/chapters/artefacts/{written['file'] if written else '?'}.json"
        _, path = self.env.relfn2path(name)
        try:
            figures = json.loads(Path(path).read_text(encoding="utf-8"))
            return [nodes.Text(format(figures[written["key"]], written["format"] or ""))], []
        except FileNotFoundError:
            fault = f"there is no {name}: write file::key:format, and record what the program prints"
        except KeyError as key:
            fault = f"{name} has no figure {key}; it has {', '.join(figures)}"
        except (TypeError, ValueError) as error:
            fault = f"{self.text}: {error}"
        finally:
            self.env.note_dependency(path)
        message = self.inliner.reporter.error(fault, line=self.lineno)
        return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


def setup(app):
    app.add_role("artefact", Figure())
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""A short check inside a chapter. To choose an option is to open it, so it needs no script.

    :::{quiz} Two windows come from one process. What does PSI above 0.1 tell you?
    - [ ] That the column has drifted.

      With 200 rows in each window, a third of such pairs are above.
    - [x] Nothing, until you know how many rows there are.

      Its noise falls with the rows, and the threshold does not know them.
    :::

Each option is an item of the list, `[x]` when it is right; below it stands why, or the misconception.
"""

import string

from docutils import nodes
from questions import fold, summary
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
VERDICTS = {"[x] ": ("right", "Right."), "[ ] ": ("wrong", "No.")}


class Quiz(SphinxDirective):
    """The question is the argument; the content is one list of options."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        written = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, written)
        if [type(node) for node in written] != [nodes.bullet_list]:
            return self.refuse("a quiz is one list of options, each `- [x] …` or `- [ ] …`")
        verdicts = [self.verdict(item) for item in written[0]]
        if None in verdicts:
            place = verdicts.index(None) + 1
            return self.refuse(
                f"option {place} of this quiz is not `- [x] …` or `- [ ] …` with an explanation in a paragraph below it"
            )
        right = sum(kind == "right" for kind, _ in verdicts)
        if not 0 < right < len(verdicts):
            return self.refuse("a quiz needs at least one right option and one wrong")
        ask = nodes.paragraph(classes=["quiz-question"])
        ask += self.state.inline_text(self.arguments[0], self.lineno)[0]
        if right > 1:
            ask += nodes.Text(f" ({right} are right.)")
        options = [
            self.option(*three) for three in zip(string.ascii_uppercase, written[0], verdicts, strict=False)
        ]
        return [nodes.container("", ask, *options, classes=["quiz"])]

    def refuse(self, message):
        logger.warning(message, location=self.get_location())
        return []

    @staticmethod
    def verdict(item):
        """(class, word) of an option, or None when it is malformed."""
        begins = item[0].astext()[:4] if len(item) > 1 and isinstance(item[0], nodes.paragraph) else ""
        return VERDICTS.get(begins)

    @staticmethod
    def option(letter, item, verdict):
        kind, word = verdict
        chosen, *why = item.children
        mark = next(chosen.findall(nodes.Text))
        mark.parent.replace(mark, nodes.Text(mark.astext()[4:]))
        why[0].insert(0, nodes.strong("", word))
        why[0].insert(1, nodes.Text(" "))
        return fold(
            "", summary("", "", nodes.Text(f"{letter} · "), *chosen.children), *why, kind=f"option {kind}"
        )


def setup(app):
    app.add_directive("quiz", Quiz)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

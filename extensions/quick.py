"""What the tools below us would compute again in every build, or for every page, computed once.

A part goes when the tool has learnt it; without it the book is the same and its build takes longer.
"""

import ast
from functools import cache
from operator import itemgetter

from pybtex.plugin import find_plugin, register_plugin
from sphinx.search.en import SearchEnglish
from sphinxcontrib.bibtex.domain import BibtexDomain, get_docnames

BACKEND = ("pybtex.backends", "plaintext")


class Citations(BibtexDomain):
    """sphinxcontrib-bibtex formats all entries in each build, twice; here, when they may have become others."""

    def basis(self):
        """What the formatted entries are made from: files, options, the bibliographies, and who cites what."""
        config = self.env.config
        return repr(
            (
                self.bibdata.bibfiles,  # with the time of their change
                (config.bibtex_tooltips, config.bibtex_tooltips_style),
                [
                    (key, value._replace(line=0, citation_nodes={}, filter_=ast.dump(value.filter_)))
                    for key, value in self.bibliographies.items()
                ],
                # a page that is read again cites last of all, and its place is that of its name
                sorted(
                    ((ref.docname, [target.key for target in ref.targets]) for ref in self.citation_refs),
                    key=itemgetter(0),
                ),
                list(get_docnames(self.env)),
                len(self.citations),  # those of a page that is read again are forgotten
            )
        )

    def env_updated(self):
        if self.basis() != self.data.get("basis"):
            super().env_updated()
            self.data["basis"] = self.basis()
        return []


class Words(SearchEnglish):
    """Sphinx finds the stem of each word again for each page, in Python; here once for a word."""

    def init(self, options):
        super().init(options)
        self.stem = cache(self.stem)


def setup(app):
    # pybtex asks all installed packages for its plug-in at each citation: half of a build
    register_plugin(*BACKEND, find_plugin(*BACKEND), force=True)
    app.setup_extension("sphinxcontrib.bibtex")
    app.add_domain(Citations, override=True)
    app.add_search_language(Words)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

"""Search that leads to the place: `places.js` says which words stand in which section or question.

Sphinx's index leads to pages, and a chapter is long. The search page (`_assets/places.js`) ranks the places by it.
"""

import json
import re
from collections import defaultdict
from itertools import pairwise

from docutils import nodes

WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")  # as _assets/places.js has it: 0.14 is one word
SCRIPT = "places-index.js"


def words_of(section, lang):
    """The stems of the words of `section`, but for those of the sections within it."""
    own = " ".join(node.astext() for node in section if not isinstance(node, nodes.section | nodes.raw))
    found = {word for word in WORD.findall(own.lower()) if word not in lang.stopwords}
    return sorted({lang.stem(word) for word in found})


def places_of(doctree, lang):
    """[anchor, title, whether it is a question, words] for each section of a resolved page; the first is the page."""
    return [
        [
            "" if n == 0 else section["ids"][0],
            section.next_node(nodes.title).astext(),
            "question" in section,
            words,
        ]
        for n, section in enumerate(doctree.findall(nodes.section))
        if (words := words_of(section, lang))
    ]


def listen(app):
    """Whatever page Sphinx puts into its index is put into ours."""
    app.places = {}
    if app.builder.name != "html":
        return
    index_page = app.builder.index_page

    def index(docname, doctree, title):
        index_page(docname, doctree, title)
        app.places[docname] = places_of(doctree, app.builder.indexer.lang)

    app.builder.index_page = index


def index_of(app):
    """The index for the script; pages and places are known by their numbers.

    The places of a word are told by how far each is from the one before, which takes half the bytes.
    """
    pages, places, words = [], [], defaultdict(list)
    for docname, found in sorted(app.places.items()):
        pages.append([app.builder.get_target_uri(docname), app.env.titles[docname].astext()])
        for anchor, title, is_question, own in found:
            for word in own:
                words[word].append(len(places))
            places.append([len(pages) - 1, anchor, title, int(is_question), len(own)])
    apart = {word: [n - m for m, n in pairwise([0, *there])] for word, there in sorted(words.items())}
    return {"pages": pages, "places": places, "words": apart}


def write(app, error):
    """Pages that were not written now are as they were at the last good build."""
    if error is None and app.builder.name == "html":
        there = app.last.get("places", {}) | app.places
        app.places = {docname: found for docname, found in there.items() if docname in app.env.found_docs}
        index = json.dumps(index_of(app), ensure_ascii=False, separators=(",", ":"))
        (app.outdir / SCRIPT).write_text(f"window.coursePlaces = {index};\n", encoding="utf-8")


def setup(app):
    app.setup_extension("rebuild")
    app.connect("builder-inited", listen)
    app.connect("build-finished", write, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

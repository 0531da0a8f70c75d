"""What is written again after an edit: no page that stayed the same, and every page that says something else.

Sphinx writes a page again when its own source has changed. But a page says what others say too: their titles and
terms, the figures of labs, citations. All that pages can tell each other is put into one digest, `app.told`; when it
is another than it was at the last good build, every page is written.
"""

import hashlib
import json
from pathlib import Path

from sphinx.application import ENV_PICKLE_FILENAME


def path_of(app):
    """Where a builder's last good build is remembered: {"told": digest, "pages": {page with questions: …}, "places": …}."""
    return Path(app.doctreedir) / f"{app.builder.name}.json"


def told(env):
    """A digest of all that one page can say of another, and of what makes pages from sources."""
    app, std, citations = env.app, env.domaindata["std"], env.domaindata["cite"]
    parts = [
        [(page, str(title)) for page, title in sorted(env.titles.items())],
        sorted((page, str(title)) for page, title in env.longtitles.items()),
        sorted(env.toctree_includes.items()),
        *(sorted(std[kind].items()) for kind in ("labels", "anonlabels", "objects")),
        [
            (page, slug, *rest)
            for page, meta in sorted(env.metadata.items())
            for slug, (_line, *rest) in meta.get("myst_slugs", {}).items()
        ],
        [(cited.key, cited.citation_id, str(cited.formatted_entry.text)) for cited in citations["citations"]],
        [(name, app.config[name]) for name in ("html_baseurl", "project")],
    ]
    files = [
        *Path(env.mystnb_config.output_folder).rglob("*.glue.json"),
        *Path(__file__).parent.glob("*.py"),
        *Path(app.srcdir, "_templates").glob("*"),
        *citations["bibdata"].bibfiles,
        Path(app.srcdir, app.config.external_toc_path),
    ]
    digest = hashlib.sha256(json.dumps(parts, default=str).encode())
    for path in sorted(path for path in files if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compare(app, env):
    """Every page, when something that one says of another has changed; none otherwise."""
    try:
        app.last = json.loads(path_of(app).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # there was none, or it was cut off
        app.last = {}
    # a build that is stopped was none, and the next one writes every page
    path_of(app).unlink(missing_ok=True)
    app.told = told(env)
    return sorted(env.found_docs) if app.told != app.last.get("told") else []


def index_terms(app):
    """Tell the search of terms again, which it forgets with each page that is not written (Sphinx, issue 12599)."""
    if app.builder.name == "html":
        for page in sorted(page for page, terms in app.env.domaindata["index"]["entries"].items() if terms):
            doctree = app.env.get_and_resolve_doctree(page, app.builder)
            app.builder.index_page(page, doctree, app.env.longtitles[page].astext())
    return []


def remember(app, error):
    """Remember a build without a fault. After one with a fault, read all pages again, so that it is said again."""
    if error is None and not (app._warncount and app.keep_going):
        content = {"told": app.told, "pages": getattr(app, "asked_on", {}), "places": app.places}
        path_of(app).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    elif app.keep_going:  # where warnings are errors, and Sphinx would not say them twice
        Path(app.doctreedir, ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def setup(app):
    app.connect("env-updated", compare, priority=800)  # when citations have their names
    app.connect("html-collect-pages", index_terms)
    app.connect("build-finished", remember, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

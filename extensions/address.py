"""Where the book will stand, told by the environment, so that a fork publishes without an edit.

BOOK_URL         the address of the published book: canonical links, sitemap, cards
REPOSITORY_URL   the repository: "edit this page" and "report a problem"

Without them the book is complete and names no address.
"""

import os
from urllib.parse import urlsplit

BRANCH = "main"


def configure(app, config):
    book, repository = os.environ.get("BOOK_URL", ""), os.environ.get("REPOSITORY_URL", "")
    config.notfound_urls_prefix = urlsplit(book).path or "/"
    if book:
        config.html_baseurl = config.ogp_site_url = book
        config.ogp_image = "_static/card.png"  # a card is found by its whole address, or not at all
        config.ogp_image_alt = f"{config.project}: {config.epub_description}"
        config.ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image" />']
        app.setup_extension("sphinx_sitemap")
        config.sitemap_url_scheme = "{link}"  # no language or version in our paths
        config.sitemap_excludes = ["404.html", "search.html", "genindex.html"]
    if repository:
        config.html_theme_options |= {
            "source_repository": repository,
            "source_branch": BRANCH,
            "source_directory": "",
            "top_of_page_buttons": ["edit"],
        }
        config.html_context["report_url"] = f"{repository}/issues/new"


def setup(app):
    app.connect("config-inited", configure, priority=100)  # before the theme and the cards read it
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}

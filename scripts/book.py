"""`jupyter-book` on all processors, without two libraries that take seconds to load and that no build here uses.

python scripts/book.py build -W -n --keep-going --quiet .
"""

import os
import sys
from functools import partial
from types import SimpleNamespace

# jsonschema would compile 38 grammars to check the form of addresses; without it, it leaves that check out
sys.modules["rfc3987_syntax"] = None
# sphinxext-opengraph would load Matplotlib to draw cards, which _config.yml disables; this is what it has without
sys.modules["sphinxext.opengraph._social_cards"] = SimpleNamespace(
    DEFAULT_SOCIAL_CONFIG={}, create_social_card=None
)

# of the processors that are ours; each reader holds the whole book
JOBS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
EDITIONS = ("", "class")

if __name__ == "__main__":
    edition = os.environ.get("EDITION", "")
    if edition not in EDITIONS:
        sys.exit(f"EDITION is class, or is not set; it is {edition!r}")
    from jupyter_book import sphinx
    from jupyter_book.cli.main import main

    # Sphinx's `--jobs`, which Jupyter Book's command line does not pass on
    sphinx.build_sphinx = partial(sphinx.build_sphinx, jobs=JOBS)
    main(prog_name="jupyter-book")

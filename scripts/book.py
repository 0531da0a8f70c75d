"""`jupyter-book`, started without two libraries that take seconds to load and that no build here uses.

python scripts/book.py build -W -n --keep-going --quiet .
"""

import os
import sys
from types import SimpleNamespace

# jsonschema would compile 38 grammars to check the form of addresses; without it, it leaves that check out
sys.modules["rfc3987_syntax"] = None
# sphinxext-opengraph would load Matplotlib to draw cards, which _config.yml disables; this is what it has without
sys.modules["sphinxext.opengraph._social_cards"] = SimpleNamespace(
    DEFAULT_SOCIAL_CONFIG={}, create_social_card=None
)

EDITIONS = ("", "class")

if __name__ == "__main__":
    edition = os.environ.get("EDITION", "")
    if edition not in EDITIONS:
        sys.exit(f"EDITION is class, or is not set; it is {edition!r}")
    from jupyter_book.cli.main import main

    main(prog_name="jupyter-book")

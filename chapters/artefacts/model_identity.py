"""A name for a model, made of the four things that decide what training returns."""

import hashlib
import json

import pandas as pd


def identity(tree, changes, rows, recipe, lock):
    """A name that changes with the code, the rows, the recipe or the libraries, and not with
    a tag, a branch or the message of a commit.

    `tree` is what `git rev-parse HEAD^{tree}` prints, a digest of the files of the commit;
    `changes` what `git status --porcelain --untracked-files=all` prints, which names edited
    files and modules that nobody has added, but not what `.gitignore` hides. `rows` is the
    DataFrame that training gets, in its order, since a seed picks positions; `recipe` a dict
    of plain values; `lock` the text of the lock file. Raises ValueError when the model could
    not be made again: code that is not committed, or no seed in the recipe.
    """
    if changes.strip():
        raise ValueError(f"what was not committed cannot be trained again:\n{changes}")
    if recipe.get("seed") is None:
        raise ValueError("a recipe without a seed names many models")
    columns = [(name, str(dtype)) for name, dtype in rows.dtypes.items()]
    values = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    words = json.dumps([tree.strip(), recipe, lock, columns], sort_keys=True)
    return "v2-" + hashlib.sha256(words.encode() + values).hexdigest()

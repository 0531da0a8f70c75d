"""A name for a model, made of the four things that decide what training returns."""

import hashlib
import json

import pandas as pd


def identity(commit, rows, recipe, lock):
    """A name that changes with the code, the rows, the recipe or the libraries, and with
    nothing else.

    `commit` is what `git describe --always --dirty` prints, `rows` the DataFrame that
    training gets, in its order, since a seed picks positions; `recipe` a dict of plain
    values; `lock` the text of the lock file. Raises ValueError when the model could not be
    made again: uncommitted code, or no seed in the recipe.
    """
    if commit.endswith("-dirty"):
        raise ValueError(f"{commit}: what was not committed cannot be trained again")
    if recipe.get("seed") is None:
        raise ValueError("a recipe without a seed names many models")
    columns = [(name, str(dtype)) for name, dtype in rows.dtypes.items()]
    values = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    words = json.dumps([commit, recipe, lock, columns], sort_keys=True)
    return "v1-" + hashlib.sha256(words.encode() + values).hexdigest()

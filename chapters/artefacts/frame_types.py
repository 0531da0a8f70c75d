"""What a column's type is for, and what it costs to learn it from the rows one has.

Prints how many types of Tally's table a CSV file forgets, and what becomes of the number of
an application whose type was chosen, to save memory, by looking at January 2024.
"""

import io
import json
from pathlib import Path

import pandas as pd


def smallest(rows):
    """The smallest type for each integer column that holds its values: {column: type}."""
    whole = rows.select_dtypes("integer")
    return {name: pd.to_numeric(whole[name], downcast="integer").dtype.name for name in whole}


def cast(rows, types):
    """`rows` with these types ({column: type}).

    Raises ValueError, with the column and a count, where a value would change.
    """
    for name, kind in types.items():
        # pandas does not complain: what is too large comes out as something else
        column = rows[name].astype(kind)
        changed = int((column.astype(rows[name].dtype) != rows[name]).sum())
        if changed:
            raise ValueError(f"{name}: {kind} changes {changed} of {len(rows)} values")
        rows = rows.assign(**{name: column})
    return rows


def figures(applications):
    january = applications[applications.applied_at < "2024-02-01"]
    read_back = pd.read_csv(io.StringIO(january.to_csv(index=False)))
    kind = smallest(january)["application_id"]
    number = applications.application_id.astype(kind)
    wrong = number != applications.application_id
    return {
        "columns": len(applications.columns),
        "types_forgotten": int((read_back.dtypes != january.dtypes).sum()),
        "bits": 8 * number.dtype.itemsize,
        "days_until_wrong": (applications.applied_at[wrong].iloc[0] - pd.Timestamp("2024-02-01")).days,
        "wrong_by_the_end": float(wrong.mean()),
        "shared_numbers": int(number.duplicated(keep=False).sum()),
        "rows": len(applications),
    }


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(pd.read_parquet(data))))

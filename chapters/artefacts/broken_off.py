"""What the tills would have read in November 2024, had the file of histories broken off.

The file has one row for each customer, sorted by number: what was known when the customer
last applied. Whoever is not in it looks like a new customer. Prints, of the returning
customers: how many look new, how many of those who had paid late look spotless, and how
many are decided otherwise, by a logistic regression of 1 October and Lab 1.1's cut-off.
"""

import io
import json
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NIGHT = pd.Timestamp("2024-11-14 02:00")
DAYS, CUTOFF = pd.date_range("2024-11-01", "2024-11-30"), 0.66
HISTORY = ["tenure_days", "purchases_180d", "late_180d", "open_balance"]
NOW = ["basket", "income", "utilisation"]


def histories(applications, day):
    """One row for each customer who applied before `day`, as it stood at the last
    application."""
    before = applications[applications.applied_at < day]
    return before.groupby("customer_id", sort=True)[HISTORY].last()


def beginning(table, share):
    """The first `share` (0 to 1) of the file's bytes, as a text."""
    text = table.to_csv()
    return text[: int(len(text) * share)]


def broken_off(table, share):
    """The table as it is read from the first `share` of its bytes, without the last,
    torn line."""
    whole_lines = beginning(table, share).rpartition("\n")[0]
    return pd.read_csv(io.StringIO(whole_lines), index_col=table.index.name)


def compare(applications, model, day, share):
    """The day's returning customers, one row each: what the whole file and the broken
    one make of them."""
    whole = histories(applications, day)
    broken = broken_off(whole, share)
    today = applications[applications.applied_at.dt.normalize() == day]
    today = today[today.customer_id.isin(whole.index)]

    def approved(shelf):
        read = shelf.reindex(today.customer_id).fillna(0).set_index(today.index)
        return model.predict_proba(today[NOW].join(read))[:, 1] >= CUTOFF

    return pd.DataFrame(
        {
            "looks_new": ~today.customer_id.isin(broken.index).to_numpy(),
            "was_late": whole.late_180d.reindex(today.customer_id).to_numpy() > 0,
            "approved": approved(whole),
            "approved_broken": approved(broken),
        }
    )


def figures(applications, share):
    known = applications[applications.label_known_at < "2024-10-01"]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(known[NOW + HISTORY], known.repaid)
    that_night = histories(applications, NIGHT)
    rows = pd.concat([compare(applications, model, day, share) for day in DAYS])
    return {
        "share_of_bytes": share,
        "customers_that_night": len(that_night),
        "logged": sum("," in line for line in beginning(that_night, share).split("\n")),
        "rows_that_night": len(broken_off(that_night, share)),
        "returning": len(rows),
        "looks_new": float(rows.looks_new.mean()),
        "late_forgotten": float(rows.looks_new[rows.was_late].mean()),
        "approved": float(rows.approved.mean()),
        "approved_broken": float(rows.approved_broken.mean()),
        "otherwise_of_1000": 1000 * float((rows.approved != rows.approved_broken).mean()),
        "now_declined": int((rows.approved & ~rows.approved_broken).sum()),
        "now_approved": int((~rows.approved & rows.approved_broken).sum()),
    }


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(pd.read_parquet(data), share=0.6)))

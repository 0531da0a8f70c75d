"""What two shortcuts are worth at Tally: a rule instead of the model, and a score that was
kept.

The rules and the prices are Tally's. All are tried on November 2025; the model learned from the labels known by then, since the
rival came.

    python chapters/artefacts/shortcuts.py > chapters/artefacts/shortcuts.json
"""

import json

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from tally.decision import approves, fallback
from tally.prices import outcome

COLUMNS = ["basket", "income", "tenure_days", "purchases_180d", "late_180d", "open_balance", "utilisation"]


def earned(rows, approved):
    """Euros for each 1,000 applications, if the `approved` (booleans, one a row) get
    their basket."""
    return float(outcome(rows.basket, rows.repaid)[approved].sum() / len(rows) * 1_000)


def again(rows, within):
    """Share of applications whose customer had applied no longer than `within` before."""
    return float((rows.sort_values("applied_at").groupby("customer_id").applied_at.diff() <= within).mean())


def main():
    everything = pd.read_parquet("data/applications.parquet")
    november = everything[everything.applied_at.dt.strftime("%Y-%m") == "2025-11"]
    known = everything[everything.applied_at.ge("2025-06-09") & everything.label_known_at.lt("2025-11-01")]
    model = HistGradientBoostingClassifier(random_state=0).fit(known[COLUMNS], known.repaid)
    figures = {"all": earned(november, np.ones(len(november), bool))}
    figures["model"] = earned(november, approves(model.predict_proba(november[COLUMNS])[:, 1]))
    ways = {
        "shy": fallback(november.basket, None),  # the rule of Chapter 5's weekend
        "rule": fallback(november.basket, november.late_180d),
        "free": fallback(november.basket, november.late_180d, limit=np.inf),
    }
    for name, approved in ways.items():
        figures[f"{name}_earns"] = earned(november, approved)
        figures[f"{name}_share"] = float(approved.mean())
        figures[f"{name}_unpaid"] = float(1 - november.repaid[approved].mean())
        figures[f"{name}_costs"] = figures["model"] - figures[f"{name}_earns"]
    figures["rule_keeps"] = figures["rule_earns"] / figures["model"]
    for name, within in (("minutes", "10min"), ("hour", "1h"), ("day", "1D"), ("month", "30D")):
        figures[f"again_{name}"] = again(everything, pd.Timedelta(within))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

"""What two shortcuts are worth at Tally: a rule instead of the model, and a score that was
kept.

The rule is that of serving/service.py; what an approval earns or loses is Chapter 4's: a
repaid basket brings 10 % of it, an unpaid one costs 40 %, so a model approves from 0.8 on.
All are tried on November 2025; the model learned from the labels known by then, since the
rival came.

    python chapters/artefacts/shortcuts.py > chapters/artefacts/shortcuts.json
"""

import json

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

EARNED, LOST = 0.10, 0.40  # of the basket
COLUMNS = ["basket", "income", "tenure_days", "purchases_180d", "late_180d", "open_balance", "utilisation"]
LIMIT = 500  # euros, chosen: what one wrong yes may cost while nobody looks


def rule(rows, limit):
    """What a till may approve alone: a basket of up to `limit` euros, by somebody who
    was never late."""
    return (rows.basket <= limit) & (rows.late_180d == 0)


def earned(rows, approved):
    """Euros for each 1,000 applications, if the `approved` (booleans, one a row) get
    their basket."""
    euros = rows.basket * np.where(rows.repaid, EARNED, -LOST)
    return float(euros[approved].sum() / len(rows) * 1_000)


def again(rows, within):
    """Share of applications whose customer had applied no longer than `within` before."""
    return float((rows.sort_values("applied_at").groupby("customer_id").applied_at.diff() <= within).mean())


def main():
    everything = pd.read_parquet("data/applications.parquet")
    november = everything[everything.applied_at.dt.strftime("%Y-%m") == "2025-11"]
    known = everything[everything.applied_at.ge("2025-06-09") & everything.label_known_at.lt("2025-11-01")]
    model = HistGradientBoostingClassifier(random_state=0).fit(known[COLUMNS], known.repaid)
    figures = {"all": earned(november, np.ones(len(november), bool))}
    figures["model"] = earned(november, model.predict_proba(november[COLUMNS])[:, 1] >= 0.8)
    ways = {
        "shy": november.basket <= 100,  # the rule of Chapter 5's weekend
        "rule": rule(november, LIMIT),
        "free": rule(november, np.inf),
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

"""What may a till decide alone? Five ways to decide without a connection, priced on the
tills' own applications.

Euros are earned for 100 euros asked, at the prices of tally/prices.py.
"""

import json
import os

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tally.decision import approves
from tally.prices import outcome

HERE = "basket income checkout_seconds hour channel merchant_category region".split()
ELSEWHERE = "tenure_days purchases_180d late_180d open_balance utilisation".split()


def last_copy(applications):
    """What a till may hold of a customer: the values of the purchase before; of
    strangers NaN."""
    return applications.groupby("customer_id")[ELSEWHERE].shift()


def longest_alone(budget, asked, less):
    """Hours until deciding alone has cost the `budget` (euros), when `asked` euros an
    hour are asked for and each 100 of them earn `less` euros less than with a
    connection."""
    if min(budget, asked, less) <= 0:
        raise ValueError("budget, turnover and loss are above zero, or no clock is needed")
    return budget / (asked * less / 100)


def figures(applications):
    rows = applications.assign(hour=applications.applied_at.dt.hour)
    training = rows[rows.label_known_at < "2024-10-01"]
    trial = rows[rows.applied_at.between("2024-10-01", "2025-01-31") & (rows.channel == "till")]
    worth = outcome(trial.basket, trial.repaid)
    copies = trial.assign(**last_copy(rows).loc[trial.index])

    def earned(approved):
        return round(float(100 * worth[approved].sum() / trial.basket.sum()), 2)

    def chances(columns, asked):
        model = HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.2, max_leaf_nodes=8, random_state=7
        )
        return model.fit(training[columns], training.repaid).predict_proba(asked[columns])[:, 1]

    connected, alone = chances(HERE + ELSEWHERE, trial), chances(HERE, trial)
    copy = np.where(copies.tenure_days.isna(), alone, chances(HERE + ELSEWHERE, copies))
    found = {"rows": len(trial), "known": round(float(copies.tenure_days.notna().mean()), 3)}
    for name, chance in {"connected": connected, "copy": copy, "alone": alone}.items():
        found[f"{name}_auc"] = round(roc_auc_score(trial.repaid, chance), 3)
        found[f"{name}_euros"] = earned(approves(chance))
    found["all_euros"] = earned(np.ones(len(trial), bool))
    found["floor_euros"] = earned(trial.basket <= 150)  # the old rule: anything up to 150 euros
    found["floor_approved"] = round(float((trial.basket <= 150).mean()), 2)
    for name in ("copy", "alone"):  # chosen: 60 euros for each outage, 300 euros asked in an hour at one till
        found[f"{name}_less"] = round(found["connected_euros"] - found[f"{name}_euros"], 2)
        found[f"{name}_hours"] = round(longest_alone(60, 300, found[f"{name}_less"]), 1)
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

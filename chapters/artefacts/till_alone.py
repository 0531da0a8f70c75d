"""What may a till decide alone? Five ways to decide without a connection, priced on the
tills' own applications.

Euros are earned for 100 euros asked, at the prices of tally/prices.py.
"""

import json
import os
from statistics import NormalDist

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tally.decision import approves
from tally.prices import LOST, outcome

ASKED = 300  # chosen: euros asked for in an hour at one till
AT_STAKE = 1000  # chosen: euros that an outage may cost there
HERE = "basket income checkout_seconds hour channel merchant_category region".split()
ELSEWHERE = "tenure_days purchases_180d late_180d open_balance utilisation".split()


def last_copy(applications):
    """What a till may hold of a customer: the values of the purchase before; of
    strangers NaN."""
    return applications.groupby("customer_id")[ELSEWHERE].shift()


def worst_hour(asked, approved):
    """Euros that an hour costs if nobody pays who is approved, when `asked` euros are asked
    for and the share `approved` of them is."""
    return asked * approved * LOST


def longest_alone(at_stake, asked, approved):
    """Hours until the worst case has cost `at_stake` euros.

    The expected cost gives no such clock: an hour with the copy costs less than an hour
    with anything that could replace it."""
    if not (at_stake > 0 and asked > 0 and 0 < approved <= 1):
        raise ValueError("something is at stake, asked for and approved, or no clock is needed")
    return at_stake / worst_hour(asked, approved)


def margin(shares, customers):
    """Half the 95 % interval of a sum of `shares`; a customer's rows are one piece of
    evidence."""
    noise = np.sqrt((shares.groupby(customers).sum() ** 2).sum())
    return NormalDist().inv_cdf(0.975) * noise


def behind(worth, policy, connected, rows):
    """How much less a policy earns of 100 euros asked than with a line, with a 95 % interval
    over customers; policies are whether each row is approved."""
    lost, asked = worth * (connected * 1.0 - policy), rows.basket.sum()
    mean = lost.sum() / asked
    off = margin((lost - mean * rows.basket) / asked, rows.customer_id)
    return [round(float(100 * value), 2) for value in (mean, mean - off, mean + off)]


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
    found["connected_euros"] = earned(approves(connected))
    policies = {
        "copy": approves(copy),
        "alone": approves(alone),
        "floor": (trial.basket <= 150).to_numpy(),  # the old rule: anything up to 150 euros
        "all": np.ones(len(trial), bool),
        "none": np.zeros(len(trial), bool),
    }
    for name, policy in policies.items():
        found[f"{name}_euros"] = earned(policy)
        less, low, high = behind(worth, policy, approves(connected), trial)
        found |= {f"{name}_less": less, f"{name}_less_from": low, f"{name}_less_to": high}
        found[f"{name}_hour"] = round(ASKED * less / 100, 2)
        approved = float(trial.basket[policy].sum() / trial.basket.sum())
        found[f"{name}_worst_hour"] = round(worst_hour(ASKED, approved), 1)
        if approved:
            found[f"{name}_hours"] = round(longest_alone(AT_STAKE, ASKED, approved), 1)
    added, low, high = behind(worth, policies["floor"], policies["alone"], trial)
    found |= {"alone_adds": added, "alone_adds_from": low, "alone_adds_to": high}
    since = trial.applied_at - rows.groupby("customer_id").applied_at.shift()[trial.index]
    old = (since > pd.Timedelta(120, "D")).to_numpy()
    found["old_copies"] = int(old.sum())
    for name in ("copy", "alone"):
        euros = worth[policies[name] & old].sum() / trial.basket[old].sum()
        found[f"old_{name}_euros"] = round(float(100 * euros), 2)
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

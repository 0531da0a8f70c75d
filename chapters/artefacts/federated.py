"""Federated averaging of a logistic regression: six shops learn together and no row leaves
its shop.

The algorithm is that of McMahan and others (2017) with full batches and every shop in every
round: each takes `steps` gradient steps from the shared weights, and the server averages
what comes back, weighted by rows. Compared are shops by what they sell, and the same rows
dealt out at random to six shops of the same sizes.
"""

import json

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tally.decision import CUTOFF

COLUMNS = "basket income tenure_days purchases_180d late_180d open_balance utilisation".split()
STEPS = 200  # gradient steps of each shop in all, however often it talks


def chance(weights, rows):
    return 1 / (1 + np.exp(-rows @ weights))


def train(weights, rows, repaid, steps):
    """`steps` of gradient descent at rate 1 on the log loss; rows of shape (n, columns),
    standardised."""
    for _ in range(steps):
        weights = weights - rows.T @ (chance(weights, rows) - repaid) / len(rows)
    return weights


def federate(shops, rounds, steps):
    """The shared weights after `rounds`; `shops` is a list of (rows, repaid)."""
    weights = np.zeros(shops[0][0].shape[1])
    for _ in range(rounds):
        sent = [train(weights, *shop, steps) for shop in shops]
        weights = np.average(sent, axis=0, weights=[len(repaid) for _, repaid in shops])
    return weights


def bytes_sent(shops, rounds, columns):
    """Bytes over the line: the weights there and back for each shop and round, 8 for
    each number."""
    return 2 * 8 * shops * rounds * columns


def figures(applications):
    training = applications[applications.label_known_at < "2024-10-01"]
    trial = applications[applications.applied_at.between("2024-10-01", "2025-01-31")]
    centre, spread = (getattr(np.log1p(training[COLUMNS]), how)().to_numpy() for how in ("mean", "std"))
    rows, asked = (
        np.c_[np.ones(len(some)), (np.log1p(some[COLUMNS]) - centre) / spread] for some in (training, trial)
    )
    repaid, nothing = training.repaid.to_numpy(float), np.zeros(rows.shape[1])
    kind = training.merchant_category.to_numpy(str)
    dealt = np.random.default_rng(7).permutation(kind)

    def shops(of):
        return [(rows[of == shop], repaid[of == shop]) for shop in np.unique(of)]

    def auc(weights):
        return round(roc_auc_score(trial.repaid, asked @ weights), 4)

    def other(weights):
        return (chance(weights, asked) >= CUTOFF) != (chance(pooled, asked) >= CUTOFF)

    pooled = train(nothing, rows, repaid, STEPS)
    found = {"shops": len(shops(kind)), "pooled_auc": auc(pooled)}
    for name, of in {"kinds": kind, "dealt": dealt}.items():
        for pace, rounds in {"often": STEPS, "seldom": STEPS // 20, "once": 1}.items():
            weights = federate(shops(of), rounds, STEPS // rounds)
            found[f"{name}_{pace}_auc"] = auc(weights)
            found[f"{name}_{pace}_other"] = round(float(other(weights).mean()), 4)
        found[f"{name}_alone_worst"] = min(auc(train(nothing, *shop, STEPS)) for shop in shops(of))
    harmed = pd.Series(other(federate(shops(kind), STEPS // 20, 20)))
    by_kind = harmed.groupby(trial.merchant_category.to_numpy(str)).mean().round(4)
    found |= {f"other_{shop}": share for shop, share in by_kind.items()}
    found["kb_often"] = bytes_sent(len(by_kind), STEPS, rows.shape[1]) / 1000
    found["kb_seldom"] = found["kb_often"] / 20
    found["kb_pooled"] = rows.nbytes / 1000
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

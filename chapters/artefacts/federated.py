"""Federated averaging of a logistic regression: six shops learn together and no row leaves
its shop.

The algorithm is that of McMahan and others (2017) with full batches and every shop in every
round: each takes `steps` gradient steps from the shared weights, and the server averages
what comes back, weighted by rows. Compared are shops by what they sell, and the same rows
dealt out at random to six shops of the same sizes; then each shop's model of its own rows
with the shared one, on its own customers. The scale of the columns is shared as well: of it
the server learns counts, sums and sums of squares, and no row.
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


def shared_scale(shops):
    """Mean and standard deviation of each column over all shops, from three sums of each
    shop; `shops` is a list of arrays (rows, columns)."""
    sent = [(len(rows), rows.sum(axis=0), (rows**2).sum(axis=0)) for rows in shops]
    count, total, squares = (sum(part) for part in zip(*sent, strict=True))
    mean = total / count
    return mean, np.sqrt(squares / count - mean**2)


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


def gain(repaid, alone, together, customers, rng, resamples=300):
    """How much higher the AUC of `together` is than that of `alone` (scores of the same
    rows), with a 95 % interval by resampling customers."""

    def lead(rows):
        return roc_auc_score(repaid[rows], together[rows]) - roc_auc_score(repaid[rows], alone[rows])

    rows_of = list(pd.Series(range(len(repaid))).groupby(customers).indices.values())
    leads = []
    for _ in range(resamples):
        drawn = rng.integers(len(rows_of), size=len(rows_of))
        leads.append(lead(np.concatenate([rows_of[one] for one in drawn])))
    return lead(slice(None)), *np.quantile(leads, [0.025, 0.975])


def newcomer(shops, at, asked, repaid, rng, rows=40, draws=20):
    """The mean AUC, alone and together, if the shop `at` had so few rows of its own."""
    found = []
    for _ in range(draws):
        kept = rng.choice(len(shops[at][1]), rows, replace=False)
        few = [tuple(part[kept] for part in shop) if i == at else shop for i, shop in enumerate(shops)]
        nothing = np.zeros(asked.shape[1])
        models = train(nothing, *few[at], STEPS), federate(few, STEPS // 20, 20)
        found.append([roc_auc_score(repaid, asked @ weights) for weights in models])
    return np.mean(found, axis=0)


def figures(applications):
    training = applications[applications.label_known_at < "2024-10-01"]
    trial = applications[applications.applied_at.between("2024-10-01", "2025-01-31")]
    kind, asked_kind = (some.merchant_category.to_numpy(str) for some in (training, trial))
    columns, asked_columns = (np.log1p(some[COLUMNS]).to_numpy() for some in (training, trial))
    names = np.unique(kind)
    centre, spread = shared_scale([columns[kind == name] for name in names])
    rows, asked = (np.c_[np.ones(len(some)), (some - centre) / spread] for some in (columns, asked_columns))
    repaid, nothing = training.repaid.to_numpy(float), np.zeros(rows.shape[1])
    dealt = np.random.default_rng(7).permutation(kind)

    def shops(of):
        return [(rows[of == name], repaid[of == name]) for name in names]

    def auc(weights):
        return round(roc_auc_score(trial.repaid, asked @ weights), 4)

    def other(weights):
        return (chance(weights, asked) >= CUTOFF) != (chance(pooled, asked) >= CUTOFF)

    pooled = train(nothing, rows, repaid, STEPS)
    found = {"shops": len(names), "pooled_auc": auc(pooled)}
    for name, of in {"kinds": kind, "dealt": dealt}.items():
        for pace, rounds in {"often": STEPS, "seldom": STEPS // 20, "once": 1}.items():
            weights = federate(shops(of), rounds, STEPS // rounds)
            found[f"{name}_{pace}_auc"] = auc(weights)
            found[f"{name}_{pace}_other"] = round(float(other(weights).mean()), 4)

    shared, rng = federate(shops(kind), STEPS // 20, 20), np.random.default_rng(7)
    harmed = pd.Series(other(shared)).groupby(asked_kind).mean().round(4)
    found |= {f"other_{name}": share for name, share in harmed.items()}
    for at, name in enumerate(names):  # on its own customers, who are what a shop joins for
        own = asked_kind == name
        its = trial.repaid.to_numpy()[own]
        scores = [asked[own] @ weights for weights in (train(nothing, *shops(kind)[at], STEPS), shared)]
        lead, low, high = gain(its, *scores, trial.customer_id.to_numpy()[own], rng)
        found |= {f"alone_{name}": round(roc_auc_score(its, scores[0]), 4)}
        found |= {f"together_{name}": round(roc_auc_score(its, scores[1]), 4)}
        found |= {f"gain_{name}": round(lead, 4), f"from_{name}": round(low, 4), f"to_{name}": round(high, 4)}
        found |= {f"rows_{name}": int((kind == name).sum())}
        if name == "toys":
            few = newcomer(shops(kind), at, asked[own], its, rng)
            found |= dict(zip(("newcomer_alone", "newcomer_together"), few.round(3), strict=True))
    found["kb_often"] = bytes_sent(len(names), STEPS, rows.shape[1]) / 1000
    found["kb_seldom"] = found["kb_often"] / 20
    found["kb_pooled"] = rows.nbytes / 1000
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

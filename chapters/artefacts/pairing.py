"""What it is worth to judge champion and candidate on the same rows: much when the
candidate is the champion's recipe with another seed, less when it is another recipe."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).parents[2] / "data"
NUMBERS = "basket income tenure_days purchases_180d late_180d open_balance utilisation".split()


def placements(score, good):
    """For each good row the share of bad rows below it, for each bad row the share of good rows above it."""
    high, low = np.sort(score[good]), np.sort(score[~good])
    return np.searchsorted(low, score[good]) / len(low), 1 - np.searchsorted(high, score[~good]) / len(high)


def row_noise(good, score, minus=None):
    """The standard error of an AUC, or of a difference of two on the same rows, times the root of the rows
    (DeLong's formula)."""
    parts = placements(score, good)
    if minus is not None:
        parts = [one - other for one, other in zip(parts, placements(minus, good), strict=True)]
    shares = good.mean(), 1 - good.mean()
    return float(np.sqrt(sum(part.var() / share for part, share in zip(parts, shares, strict=True))))


def rows_for(noise, margin=0.01):
    """Rows at which 95 of 100 candidates that are as good as the champion pass the gate."""
    return (2 * 1.645 * noise / margin) ** 2


def split():
    """The sample and the quiet applications of Lab 8.1."""
    applications = pd.read_parquet(DATA / "applications.parquet")
    day, unquiet = applications.applied_at.dt.normalize(), False
    for event in pd.read_csv(DATA / "events.csv", parse_dates=["first_day", "last_day"]).itertuples():
        unquiet |= day.between(event.first_day, event.last_day)
    return applications[~unquiet & (day < "2024-07-01")], applications[~unquiet & (day >= "2024-07-01")]


def trees(**size):
    return lambda seed: HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=seed, **size
    )


CATEGORIES = ["channel", "merchant_category"]
RECIPES = {  # how a model is made from a seed, and its columns
    "seed": (trees(max_iter=60, max_leaf_nodes=8), NUMBERS + CATEGORIES),  # the champion's own
    "large": (trees(max_iter=200, max_leaf_nodes=31), NUMBERS + CATEGORIES),
    "forest": (lambda seed: RandomForestClassifier(60, min_samples_leaf=10, random_state=seed), NUMBERS),
    "logistic": (lambda seed: make_pipeline(StandardScaler(), LogisticRegression()), NUMBERS),
}


def figures():
    sample, quiet = split()

    def scores(name, seed):
        (make, columns), rows = RECIPES[name], sample.sample(frac=0.8, random_state=seed)
        return make(seed).fit(rows[columns], rows.repaid).predict_proba(quiet[columns])[:, 1]

    good, champion, found = quiet.repaid.to_numpy(), scores("seed", 0), {}
    for name in RECIPES:
        candidates = [scores(name, seed) for seed in (1, 2, 3)]
        noises = [row_noise(good, score, champion) for score in candidates]
        found |= {
            f"worth_{name}": round(
                np.mean([(row_noise(good, champion) / noise) ** 2 for noise in noises]), 1
            ),
            f"rows_{name}": round(np.mean([rows_for(noise) for noise in noises]), -2),
        }
    return found


if __name__ == "__main__":
    print(json.dumps(figures(), indent=2))

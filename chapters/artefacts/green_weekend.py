"""What a weekend of fallbacks cost Tally while /health said OK; prints one JSON object."""

import json

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from tally.decision import approves, fallback
from tally.prices import expected

BEGAN, ENDED = pd.Timestamp("2024-12-13 18:00"), pd.Timestamp("2024-12-16 09:00")


def champion(applications):
    """Lab 7.2's first champion: its probability of repayment for each application."""
    numbers = "basket income tenure_days purchases_180d late_180d open_balance".split()
    numbers += "utilisation checkout_seconds hour".split()
    words = ["channel", "merchant_category", "region"]
    codes = {word: applications[word].cat.codes for word in words}
    inputs = applications.assign(hour=applications.applied_at.dt.hour, **codes)
    inputs = inputs[numbers + words].astype("float32")
    customers = applications.customer_id.to_numpy()
    jury = (np.random.default_rng(7).random(customers.max() + 1) < 0.2)[customers]
    taught = (applications.applied_at < "2024-07-01") & ~jury
    recipe = {"max_iter": 20, "learning_rate": 0.3, "max_leaf_nodes": 6, "early_stopping": False}
    model = HistGradientBoostingClassifier(**recipe).fit(inputs[taught], applications.repaid[taught])
    return model.predict_proba(inputs)[:, 1]


def weekend(applications, truth):
    """The weekend, decided by the model and by the fallback. Euros are expected ones,
    before the dice fell."""
    worth = expected(applications.basket, truth.p_repaid)
    by_model = pd.Series(approves(champion(applications)), applications.index)
    by_fallback = fallback(applications.basket, None)  # no customer's history can be read
    here = applications.applied_at.between(BEGAN, ENDED, inclusive="left")
    hours = (ENDED - BEGAN) / pd.Timedelta("1h")
    lost = worth[here & by_model].sum() - worth[here & by_fallback].sum()
    day = applications.applied_at.dt.normalize()
    weeks_before = day.between(BEGAN.normalize() - pd.Timedelta("28D"), BEGAN.normalize(), inclusive="left")
    by_day = by_model[weeks_before].groupby(day[weeks_before]).mean()
    return {
        "hours": hours,
        "decisions": here.sum(),
        "earned_model": worth[here & by_model].sum(),
        "earned_fallback": worth[here & by_fallback].sum(),
        "lost_by_everybody": -worth[here].sum(),  # if all were approved
        "lost": lost,
        "lost_an_hour": lost / hours,
        "approved_model": by_model[here].mean(),
        "approved_fallback": by_fallback[here].mean(),
        "approved_lowest_day": by_day.min(),
        "approved_highest_day": by_day.max(),
        "turned_away": (here & by_model & ~by_fallback).sum(),
        "let_in": (here & ~by_model & by_fallback).sum(),
        "basket_model": applications.basket[here & by_model].mean(),
        "basket_fallback": applications.basket[here & by_fallback].mean(),
    }


if __name__ == "__main__":
    tables = [pd.read_parquet(f"data/{name}.parquet") for name in ("applications", "truth")]
    print(json.dumps({name: float(value) for name, value in weekend(*tables).items()}, indent=1))

"""What a feature loses by being a night old: printed as figures, from Tally's log of
applications."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

DAY = 86_400
PLAIN = ["basket", "income", "tenure_days", "utilisation"]


def seconds(times):
    return times.to_numpy().astype("datetime64[s]").astype("int64")


def count(events, customers, at, span=180 * DAY):
    """For each customer the number of their events in the `span` that ends before `at`.

    `events` has one row an event, with `customer_id` and `second`; `customers` and `at` are
    arrays of one length, times in seconds. What happens in the second asked about does not
    count.
    """
    far = 10**11  # more seconds than the log has, so customers don't touch
    keys = np.sort(events.customer_id.to_numpy("int64") * far + events.second.to_numpy())
    return np.searchsorted(keys, customers * far + at) - np.searchsorted(keys, customers * far + at - span)


def figures(applications):
    """How many rows and decisions differ if features were computed last midnight and not
    in the moment."""
    who, now = applications.customer_id.to_numpy("int64"), seconds(applications.applied_at)
    unpaid = applications[~applications.repaid]
    clocks = {  # the moment at which each event can be known
        "purchases": pd.DataFrame({"customer_id": who, "second": now}),
        "unpaid": pd.DataFrame({"customer_id": unpaid.customer_id, "second": seconds(unpaid.label_known_at)}),
    }
    live, nightly = (
        applications[PLAIN].assign(**{name: count(clock, who, at) for name, clock in clocks.items()})
        for at in (now, now - now % DAY)
    )
    learned = applications.applied_at.between("2024-07-01", "2024-12-31")
    judged = applications.applied_at.between("2025-02-15", "2025-03-31")
    model = HistGradientBoostingClassifier(max_iter=40, random_state=7)
    model.fit(live[learned], applications.repaid[learned])
    scores = [model.predict_proba(table[judged])[:, 1] for table in (live, nightly)]
    cutoff = np.quantile(scores[0], 0.15)
    return {
        **{f"{name}_stale": float((live[name] != nightly[name])[judged].mean()) for name in clocks},
        "decided_per_1000": float(1000 * np.mean((scores[0] >= cutoff) != (scores[1] >= cutoff))),
        "judged": int(judged.sum()),
    }


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(pd.read_parquet(data)), indent=2))

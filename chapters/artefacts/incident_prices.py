"""What each place of the loop has cost, split at the moment when somebody knew."""

import pandas as pd


def price(incidents):
    """Euros lost for each place before it was seen and between then and the repair, the
    dearest place first.

    `incidents` has one row an incident, with `place`, `euros_a_day`, and the times `began`,
    `seen` and `stopped`. Raises ValueError when an incident is seen before it began or
    stopped before it was seen, or when a time is missing: an incident that is still open
    has no price yet, and a price of nothing would rank it last.
    """
    times = incidents[["began", "seen", "stopped"]]
    if times.isna().any(axis=None):
        raise ValueError("an incident is still open: give it today's date as `stopped`, and say so")
    if not (times.began.le(times.seen) & times.seen.le(times.stopped)).all():
        raise ValueError("began, seen, stopped: an incident does not follow this order")
    day = pd.Timedelta(days=1)
    lost = pd.DataFrame(
        {
            "unseen": incidents.euros_a_day * (times.seen - times.began) / day,
            "seen": incidents.euros_a_day * (times.stopped - times.seen) / day,
        }
    )
    by_place = lost.groupby(incidents.place).sum()
    return by_place.loc[by_place.sum(axis=1).sort_values(ascending=False).index]

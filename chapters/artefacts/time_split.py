"""Splits for validation that imitate the job: train on what was known that day, judge on
what came after."""

import numpy as np
import pandas as pd


def splits(applications, starts, length="28D", strangers_only=False):
    """Yield (training, validation), arrays of row positions, for each day in `starts`.

    `applications` has one row an application, with `applied_at`, `label_known_at` and
    `customer_id`. Training holds the rows whose label was known when the day began;
    validation the applications of the next `length`. Returning customers stay in it, since
    they return to the till as well; `strangers_only` leaves out those that training knows,
    to see how the model does without its memories. Raises ValueError when one of the two
    would be empty.
    """
    for start in map(pd.Timestamp, starts):
        known = applications.label_known_at < start
        judged = applications.applied_at.between(start, start + pd.Timedelta(length), inclusive="left")
        if strangers_only:
            judged &= ~applications.customer_id.isin(applications.customer_id[known])
        training, validation = np.flatnonzero(known), np.flatnonzero(judged)
        if not len(training) or not len(validation):
            raise ValueError(f"nothing to train or to validate on at {start:%d %B %Y}: choose another day")
        yield training, validation

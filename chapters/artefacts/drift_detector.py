"""A drift detector for one numeric column: rings when a difference is larger than chance
and larger than we care about."""

import numpy as np
from scipy import stats


class DriftDetector:
    """PSI over bins of equal share, with the limit that chance sets for these numbers of
    rows.

    `reference`: values of quiet days, shape (n,); missing values have a bin of their own.
    `worth_knowing`: the smallest PSI that anybody would act on.
    `false_alarms`: the share of quiet windows that may exceed the limit of chance.
    """

    def __init__(self, reference, bins=10, worth_knowing=0.1, false_alarms=0.01):
        reference = np.asarray(reference, dtype=float)
        inner = np.quantile(reference[~np.isnan(reference)], np.linspace(0, 1, bins + 1)[1:-1])
        self.edges = np.unique(inner)  # many equal values make fewer bins, not empty ones
        self.expected = self._count(reference)
        self.worth_knowing, self.false_alarms = worth_knowing, false_alarms

    def _count(self, values):
        """Rows in each bin; open at both ends, and the last bin for what is missing."""
        values = np.asarray(values, dtype=float)
        missing = np.isnan(values)
        counts = np.bincount(np.searchsorted(self.edges, values[~missing]), minlength=len(self.edges) + 1)
        return np.append(counts, missing.sum())

    def check(self, window):
        """Return (alarm, psi, limit of chance) for the values of a window, shape (m,)."""
        actual = self._count(window)
        n, m = self.expected.sum(), actual.sum()
        if m < 5 * len(actual):
            raise ValueError(f"{m} rows are too few for {len(actual)} bins: use a longer window")
        p = (self.expected + 0.5) / (self.expected + 0.5).sum()  # half a row more, so that no bin is empty
        q = (actual + 0.5) / (actual + 0.5).sum()
        psi = ((q - p) * np.log(q / p)).sum()
        used = (self.expected + actual > 0).sum()
        limit = (1 / n + 1 / m) * stats.chi2.isf(self.false_alarms, used - 1)
        return bool(psi > max(limit, self.worth_knowing)), float(psi), float(limit)

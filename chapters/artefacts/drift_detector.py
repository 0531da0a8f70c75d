"""A drift detector for one numeric column: fires when a difference is larger than chance
and larger than we care about. It sees inputs only, never what becomes of them."""

import numpy as np
from scipy.special import rel_entr


def psi(expected, actual):
    """Population stability index of two histograms, bins on the last axis; half a row more
    in each bin that either of them uses."""
    half = 0.5 * (expected + actual > 0)
    p, q = (n / n.sum(axis=-1, keepdims=True) for n in (expected + half, actual + half))
    return (rel_entr(p, q) + rel_entr(q, p)).sum(axis=-1)


class DriftDetector:
    """PSI over bins of equal share, with the limit that chance sets for these rows.

    `reference`: values of quiet days, shape (n,). A value that fills a share alone has a bin
    for itself, and so have missing values and what lies outside the reference's range.
    `worth_knowing`: the smallest PSI that anybody would act on.
    `false_alarms`: the share of quiet windows that may exceed the limit of chance.

    Raises ValueError where a comparison would be silent for want of rows or values.
    """

    def __init__(self, reference, bins=10, worth_knowing=0.1, false_alarms=0.01):
        self.fewest = 2 * bins
        self.worth_knowing, self.false_alarms = worth_knowing, false_alarms
        values, rows = np.unique(self._rows(reference), return_counts=True)
        values, rows = values[~np.isnan(values)], rows[~np.isnan(values)]
        if not len(values):
            raise ValueError("the reference has no values, all are missing")
        shares = np.repeat(values, rows)[np.arange(1, bins) * rows.sum() // bins]  # sorted
        alone = values[rows >= rows.sum() / bins]
        # an edge belongs to the bin below it, so one more edge just before it parts the two
        before = np.nextafter([*alone, values[0]], -np.inf)
        self.edges = np.unique([*shares, *alone, *before, values[-1]])
        self.expected = self._count(reference)

    def _rows(self, values):
        values = np.asarray(values, dtype=float)
        if len(values) < self.fewest:
            raise ValueError(f"{len(values)} rows are too few: use a longer window")
        return values

    def _count(self, values):
        """Rows in each bin; open at both ends, and the last bin for what is missing."""
        values = self._rows(values)
        place = np.searchsorted(self.edges, values)
        place[np.isnan(values)] = len(self.edges) + 1
        return np.bincount(place, minlength=len(self.edges) + 2)

    def check(self, window):
        """Return (alarm, psi, limit of chance) for the values of a window, shape (m,).

        The limit comes from dealing all rows anew into n and m, ten times as often as it
        takes to see one false alarm; so it holds for few rows and for any ties.
        """
        actual = self._count(window)
        both, deals = self.expected + actual, int(np.ceil(10 / self.false_alarms))
        dealt = np.random.default_rng(7).multivariate_hypergeometric(both, actual.sum(), deals)
        by_chance = np.sort(psi(both - dealt, dealt))
        limit = by_chance[int(np.ceil((deals + 1) * (1 - self.false_alarms))) - 1]
        found = psi(self.expected, actual)
        return bool(found > max(limit, self.worth_knowing)), float(found), float(limit)

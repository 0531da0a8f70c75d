"""Who is approved: by the model's score, or by a rule where there is none.

The cut-off follows from the prices. Approving a basket with probability of repayment p brings
EARNED * p - LOST * (1 - p) of it on average, which is not negative from p = LOST / (EARNED + LOST) on
(Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001).
"""

from tally.prices import EARNED, LOST

CUTOFF = LOST / (EARNED + LOST)
LIMIT = 500  # euros: what one wrong yes of the fallback may cost; the owner of losses signed it
BLIND_LIMIT = 100  # euros: the same when nothing is known of the customer


def approves(score, cutoff=CUTOFF):
    """Whether a `score`, the model's probability of repayment, is approved: from the cut-off on.

    Takes a number or an array, and answers with the same shape.
    """
    return score >= cutoff


def fallback(basket, late_180d, limit=LIMIT):
    """Whether the rule approves a `basket` (euros) where the model cannot be asked.

    `late_180d` is the number of late payments in 180 days. None means that the customer's history is
    not known: then only a basket up to BLIND_LIMIT is approved. Numbers, or arrays of one length.
    """
    if late_180d is None:
        return basket <= BLIND_LIMIT
    return (basket <= limit) & (late_180d == 0)

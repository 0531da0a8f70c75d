"""What a decision earns or loses: the one price list of Tally, agreed with the owner of credit losses.

Cut-off, fallback, gates and reports read it from here. A declined application earns and loses nothing.
"""

EARNED = 0.10  # of a basket that is repaid: the shop's fee
LOST = 0.40  # of a basket that is not repaid: the rest is collected in the end
RELEASE = 1_000  # euros for one release of a model: review, canary, somebody on call


def outcome(basket, repaid):
    """Euros that an approval brought, once it is known whether it was repaid.

    `basket` in euros and `repaid` (booleans) are two numbers, or two arrays of one length.
    """
    return basket * ((EARNED + LOST) * repaid - LOST)


def expected(basket, chance):
    """Euros that an approval brings on average, if it is repaid with probability `chance`.

    `basket` is in euros, `chance` between 0 and 1; two numbers, or two arrays of one length.
    """
    return basket * (EARNED * chance - LOST * (1 - chance))

"""The rate of each of many groups: its own, pulled towards that of all, the more the fewer its labels."""


def partly_pooled(shops):
    """The rate of repayment of each shop (Series).

    `shops` is a DataFrame with a row a shop and the counts `labels` and `repaid`. A shop with
    n labels gets the weight n / (n + k) for its own rate, and the rate of all for the rest.
    k + 1 is the variance of one label divided by that of the shops' true rates, which is
    estimated by how much more the shops differ than chance would make them (a beta-binomial
    model, by moments). A shop without labels gets the rate of all, and so does every shop if
    chance alone explains the differences. Raises ValueError when counts make no sense.
    """
    n, repaid = shops.labels, shops.repaid
    if len(shops) < 2 or n.sum() == 0 or not repaid.between(0, n).all():
        raise ValueError("wanted: two shops or more, some labels, and 0 <= repaid <= labels")
    common = repaid.sum() / n.sum()
    own = (repaid / n).fillna(common)
    one_label = common * (1 - common)
    if one_label == 0:
        return own  # all repaid or nobody did, in every shop
    by_chance = (n > 0).sum() - 1
    seen = (n * (own - common) ** 2).sum() / one_label
    most = n.sum() - (n**2).sum() / n.sum() - by_chance  # beyond chance, were the true rates 0 and 1
    differ = min(max((seen - by_chance) / most, 0), 1) if most > 0 else 0  # this is 1 / (k + 1)
    weight = n * differ / (1 - differ + n * differ)
    return weight * own + (1 - weight) * common

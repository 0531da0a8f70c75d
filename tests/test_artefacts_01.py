"""What two hands-on questions of chapter 3 show as worked: how fresh a feature must be, and what wrong labels cost."""

import numpy as np
import pandas as pd
import pytest
from freshness import DAY, count
from label_noise import kept, lead, placements
from sklearn.metrics import roc_auc_score

# Batch or stream


def test_a_count_looks_strictly_back_within_its_span_and_at_nobody_else():
    events = pd.DataFrame({"customer_id": [1, 1, 1, 2], "second": [0, 100 * DAY, 200 * DAY, 200 * DAY]})
    asked = [(1, 200 * DAY), (1, 200 * DAY + 1), (1, 180 * DAY), (1, 180 * DAY + 1), (2, 200 * DAY), (3, 0)]
    customers, at = np.array(asked).T
    assert count(events, customers, at).tolist() == [1, 2, 2, 1, 0, 0]


def test_a_count_agrees_with_counting_one_by_one():
    rng = np.random.default_rng(7)
    events = pd.DataFrame(
        {"customer_id": rng.integers(9, size=300), "second": rng.integers(400 * DAY, size=300)}
    )
    customers, at = rng.integers(9, size=200), rng.integers(500 * DAY, size=200)
    slowly = [
        ((events.customer_id == who) & (events.second < now) & (events.second >= now - 180 * DAY)).sum()
        for who, now in zip(customers, at, strict=True)
    ]
    assert count(events, customers, at).tolist() == slowly


# Wrong labels


@pytest.fixture(scope="module")
def shoppers():
    """Chances of repayment, and what came of them."""
    rng = np.random.default_rng(7)
    chance = rng.beta(4, 1, size=200_000)
    return chance, rng.random(len(chance)) < chance


@pytest.mark.parametrize("rates", [(0, 0), (0.05, 0.05), (0.2, 0), (0, 0.2), (0.5, 0.5)])
def test_random_wrong_labels_shrink_an_auc_as_computed(shoppers, rates):
    chance, good = shoppers
    wrong = np.random.default_rng(1).random(len(good)) < np.where(good, *rates)
    shrunk = (roc_auc_score(good, chance) - 0.5) * kept(good.mean(), *rates)
    assert roc_auc_score(good ^ wrong, chance) - 0.5 == pytest.approx(shrunk, abs=0.006)


def test_right_labels_keep_all_and_coin_tosses_nothing():
    assert kept(0.83, 0, 0) == 1
    assert kept(0.83, 0.5, 0.5) == pytest.approx(0)


def test_a_lead_is_the_difference_of_two_aucs_and_its_error_that_of_resampling(shoppers):
    chance, good = (column[:3000] for column in shoppers)
    rng = np.random.default_rng(2)
    blurred = chance + rng.normal(scale=0.1, size=len(chance))
    found, error = lead(chance, blurred, good)
    assert placements(chance, good)[0].mean() == pytest.approx(roc_auc_score(good, chance))
    assert found == pytest.approx(roc_auc_score(good, chance) - roc_auc_score(good, blurred))
    drawn = [
        lead(chance[rows], blurred[rows], good[rows])[0] for rows in rng.integers(3000, size=(200, 3000))
    ]
    assert error == pytest.approx(np.std(drawn), rel=0.2)

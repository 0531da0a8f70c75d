"""What chapter 8 computes beside its labs: the noise of a difference, and what pairing saves."""

import numpy as np
import pairing
import pytest


@pytest.fixture
def world():
    """Outcomes, a champion, a candidate that is nearly the same, and one whose errors are its own."""
    rng = np.random.default_rng(7)
    good = rng.random(3000) < 0.8
    champion = good + rng.normal(scale=1.2, size=3000)
    twin = champion + rng.normal(scale=0.1, size=3000)
    stranger = good + rng.normal(scale=1.2, size=3000)
    return good, champion, twin, stranger


def test_the_formula_agrees_with_resampling(world):
    good, champion, twin, _ = world
    rng, leads = np.random.default_rng(7), []
    for _ in range(400):
        rows = rng.integers(3000, size=3000)
        one, other = (pairing.placements(score[rows], good[rows])[0].mean() for score in (twin, champion))
        leads.append(one - other)
    assert np.std(leads) * np.sqrt(3000) == pytest.approx(pairing.row_noise(good, twin, champion), rel=0.15)


def test_a_model_differs_from_itself_by_nothing(world):
    good, champion, *_ = world
    assert pairing.row_noise(good, champion, champion) == 0


def test_pairing_saves_most_where_two_models_err_alike_and_nothing_where_they_do_not(world):
    good, champion, twin, stranger = world
    alone = pairing.row_noise(good, champion)
    assert (alone / pairing.row_noise(good, twin, champion)) ** 2 > 20
    assert (alone / pairing.row_noise(good, stranger, champion)) ** 2 < 1


def test_half_the_margin_takes_four_times_the_rows():
    assert pairing.rows_for(0.1, 0.005) == pytest.approx(4 * pairing.rows_for(0.1, 0.01))

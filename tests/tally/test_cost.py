"""The sheet's sums are sums: each by hand, each crossing by a scan, each limit where it lies."""

from dataclasses import fields, replace
from math import inf

import numpy as np
import pytest

from tally import cost


def test_ten_million_requests_cost_what_one_adds_up_by_hand():
    given = cost.Inputs()
    assert cost.cost(given, "serverless", 1e7) == pytest.approx(4 * 80 + 10 * 0.40 + 1e7 * 2 * 0.05 * 0.00002)
    assert cost.cost(given, "managed", 1e7) == pytest.approx(8 * 80 + 2 * 730 * 0.14)
    assert cost.cost(given, "own", 1e7) == pytest.approx(40 * 80 + 2 * 730 * 0.10)


@pytest.mark.parametrize("ways", [("serverless", "managed"), ("managed", "own"), ("serverless", "own")])
def test_the_cheaper_way_changes_at_the_crossing_and_nowhere_else(ways):
    given = cost.Inputs()
    at = cost.crossing(given, *ways)
    volumes = np.geomspace(1e3, 1e12, 400)
    cheaper = np.array([cost.cost(given, ways[1], n) < cost.cost(given, ways[0], n) for n in volumes])
    assert (cheaper == (volumes > at)).all()


def test_a_crossing_that_never_comes_is_infinite():
    assert cost.crossing(cost.Inputs(managed_surcharge=9), "serverless", "managed") == inf


def test_hours_move_the_crossing_most_and_an_input_of_neither_sum_does_not():
    moved = cost.sensitivity(cost.Inputs(), "managed", "own")
    assert set(moved) == {one.name for one in fields(cost.Inputs)}
    assert moved["gigabytes"][0] == moved["gigabytes"][1] == cost.crossing(cost.Inputs(), "managed", "own")
    assert next(iter(moved)) == "own_hours", "the chapter says that hours move it most, and no price"
    factors = [cost.spread(*pair) for pair in moved.values()]
    assert factors == sorted(factors, reverse=True)


def test_no_autoscaler_pays_for_the_peak():
    fixed, scaled = (cost.machines(replace(cost.Inputs(), follows=f), 1e10) for f in (0, 1))
    assert fixed == pytest.approx(4 * scaled)


def test_the_insurance_is_worth_its_premium_at_the_chance_that_is_stated():
    case = cost.Leaving()
    saved = case.leave(case.weeks_bare) - case.leave(case.weeks_insured)
    assert case.worth_it_from() * saved == pytest.approx(case.premium_year())

"""Chapter 6's figures: the queue, and what the fallback is worth."""

import json

import numpy as np
import pandas as pd
import pytest
import shortcuts
import waiting
from conftest import ROOT

from tally.decision import fallback

# The queue


def test_one_worker_serves_in_order_as_one_reckons_by_hand():
    answered = waiting.serve(np.array([0.0, 1.0, 5.0]), np.array([3.0, 1.0, 1.0]), 1)
    assert answered.tolist() == [3, 3, 1]
    assert waiting.serve(np.array([0.0, 1.0]), np.array([3.0, 1.0]), 2).tolist() == [3, 1]


def test_who_would_wait_too_long_costs_no_work():
    answered = waiting.serve(np.array([0.0, 1.0, 3.5]), np.array([3.0, 1.0, 1.0]), 1, wait=1)
    assert answered.tolist() == [3, np.inf, 1]


def test_two_choices_never_pass_over_an_idle_worker_that_was_drawn():
    rng = np.random.default_rng(0)
    arrivals, work = waiting.poisson(8, 20_000, rng), rng.exponential(0.2, 20_000)
    one, two = (waiting.scatter(arrivals, work, 2, choices, rng).mean() for choices in (1, 8))
    pooled = waiting.serve(arrivals, work, 2).mean()
    assert one > 1.7 * pooled and two == pytest.approx(pooled, rel=0.02)


def test_a_batch_costs_the_fixed_part_once():
    answered = waiting.batched(np.array([0.0, 0.0, 0.0]), most=2, fixed=1, each=0.5)
    assert answered.tolist() == [2, 2, 3.5]
    held = waiting.batched(np.array([0.0, 0.1, 9.0]), most=2, hold=4, fixed=1, each=0.5)
    assert held.tolist() == pytest.approx([2.1, 2.0, 5.5])


def test_erlang_c_is_the_utilisation_for_one_worker_and_refuses_too_much():
    assert waiting.erlang_c(0.7, 1) == pytest.approx(0.7)
    assert waiting.erlang_c(1.0, 2) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="steady"):
        waiting.erlang_c(2, 2)


def test_the_formulas_object_to_a_queue_that_is_served_wrongly(monkeypatch):
    serve = waiting.serve
    monkeypatch.setattr(waiting, "serve", lambda arrivals, work, workers: serve(arrivals, work, workers - 1))
    with pytest.raises(AssertionError, match="Erlang"):
        waiting.steady(0.6, 4, np.random.default_rng(0), n=50_000)


def test_the_autoscaler_grows_after_its_cold_start_and_shrinks_when_it_is_calm():
    rng = np.random.default_rng(0)
    arrivals = np.concatenate([waiting.poisson(20, 24_000, rng), 1_300 + waiting.poisson(1, 1_000, rng)])
    work = rng.exponential(0.2, len(arrivals))
    answered, hours, steps = waiting.autoscaled(arrivals, work, 2, 0.7, 60)
    counts = [count for _, count, _ in steps]
    assert counts[0] == 2 and max(counts) >= 5 and counts[-1] == 2
    assert hours == pytest.approx(sum(counts) * 15 / 3_600)
    assert waiting.p99(answered[(arrivals > 900) & (arrivals < 1_200)]) < 3 < answered[arrivals < 75].max()


def test_a_day_without_applications_is_an_error_that_names_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError, match="2031-01-01"):
        waiting.day("2031-01-01", np.random.default_rng(0))


def test_the_rule_and_its_price_are_what_one_reckons_by_hand():
    rows = pd.DataFrame({"basket": [40.0, 60.0, 30.0], "late_180d": [0, 0, 1], "repaid": [True, False, True]})
    approved = fallback(rows.basket, rows.late_180d, limit=50)
    assert approved.tolist() == [True, False, False]
    assert shortcuts.earned(rows, approved) == pytest.approx(4 / 3 * 1_000)
    assert shortcuts.earned(rows, rows.basket > 50) == pytest.approx(-24 / 3 * 1_000)


def test_what_the_chapter_says_in_words_is_what_was_computed():
    found = json.loads((ROOT / "chapters/artefacts/waiting.json").read_text())
    inside = found["rush_rate"] * found["own_mean"]
    assert round(1 / found["own_late"]) == 18, "one till in eighteen"
    assert round(found["rush_rate"]) == round(inside) == 16 and inside - 4 * found["rush_busy"] > 12
    served = 1 - found["dead_shed_180"] / (found["rush_rate"] * 180)
    assert served == pytest.approx(2 / 3, abs=0.05), "two thirds get a good answer"
    assert found["flat_pods"] == 7 and found["scaled_hours"] < found["flat_hours"] / 2, "halved"
    assert found["saturday_when_420"] < 3, "near two in the morning"
    held = [found[f"held_p99_{rate}"] / found[f"greedy_p99_{rate}"] for rate in (1, 4, 10)]
    assert min(held) > 1, "holding was worse at all three rates"
    assert found["own_late_6"] > found["two_late"] > found["one_late"]

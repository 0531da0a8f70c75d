"""Chapter 5's figures: what the weekend cost, and each policy rings when it must and only then."""

import json

import burn_rate
import green_weekend
import numpy as np
import pandas as pd
import pytest
from conftest import LABS, ROOT

from tally.decision import approves
from tally.prices import expected

RULES = (ROOT / "tally" / "alerts.yml").read_text()


# The weekend and the policies


def test_the_weekends_champion_is_the_one_of_lab_7_2(applications):
    """It earns what the lab recorded of its first champion, in the weeks before the rival."""
    [lab] = [path for path in LABS if path.stem == "07_retraining_triggers"]
    outputs = [out for cell in json.loads(lab.read_text())["cells"] for out in cell.get("outputs", [])]
    [recorded] = [
        next(iter(out["data"].values()))
        for out in outputs
        if out.get("metadata", {}).get("scrapbook", {}).get("name") == "retrain.first_champion_calm"
    ]
    chance = pd.read_parquet(ROOT / "data" / "truth.parquet").p_repaid
    worth = expected(applications.basket, chance)
    week = (applications.applied_at - pd.Timestamp("2024-01-01")).dt.days // 7
    mine = worth[week.between(33, 74) & approves(green_weekend.champion(applications))].sum() / 42
    assert round(mine, -2) == float(recorded)


def test_a_share_rings_only_in_both_windows_and_with_enough_of_them():
    policy = [(60, 10, 0.5, 3)]
    decisions = np.ones(200, int)
    bad = np.r_[np.zeros(100, int), np.ones(100, int)]
    rung = np.flatnonzero(burn_rate.firing(decisions, bad, policy))
    assert rung[0] == 130, "more than half of an hour"
    assert rung[-1] == 199
    over = np.r_[bad[:150], np.zeros(50, int)]
    assert np.flatnonzero(burn_rate.firing(decisions, over, policy))[-1] < 156, "the short window ends it"
    few = np.zeros(200, int)
    few[[100, 101]] = 1
    assert not burn_rate.firing(few, few, policy).any(), "two of two are no reason yet"


def test_a_window_without_decisions_rings_nothing():
    assert not burn_rate.firing(np.zeros(100, int), np.zeros(100, int), [(60, 5, 0.1, 0)]).any()


def test_more_fallbacks_than_decisions_is_an_error():
    with pytest.raises(ValueError, match="more fallbacks"):
        burn_rate.firing(np.ones(10), np.full(10, 2), burn_rate.POLICIES["simple"])


def test_a_ring_is_counted_once_and_a_pause_shorter_than_keep_is_none():
    rings = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1], bool)
    assert burn_rate.starts(rings).tolist() == [1, 5, 10]
    assert burn_rate.starts(rings, keep=2).tolist() == [1, 10]
    assert burn_rate.starts(np.zeros(5, bool)).tolist() == []


def test_the_rules_numbers_are_the_ones_that_were_measured():
    [(_, _, limit, least)] = burn_rate.POLICIES["counted"]
    for window in ("6h", "1h"):
        assert f"fallbacks:increase{window} > {limit:g} * tally:decisions:increase{window}" in RULES
    assert f"increase6h > {least - 0.5:g}\n" in RULES
    [(_, _, limit, least)] = burn_rate.POLICIES["ticket"]
    assert f"{limit:g} * tally:decisions:increase3d" in RULES and f"increase3d > {least - 0.5:g}\n" in RULES
    [(_, _, limit, least)] = burn_rate.POLICIES["segment"]
    assert f") > {least - 0.5:g}\n" in RULES and f"{limit:g} * sum by (channel, merchant_category)" in RULES


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():
    rate = json.loads((ROOT / "chapters/artefacts/burn_rate.json").read_text())
    weekend = json.loads((ROOT / "chapters/artefacts/green_weekend.json").read_text())
    assert round(rate["workbook_vain"] / 2) == 3, "three times in two weeks"
    assert round(rate["workbook_vain"] - rate["counted_vain"]) == 6, "six calls fewer"
    assert 20 <= rate["counted_minutes_100"] - rate["workbook_minutes_100"] <= 40, "half an hour more"
    assert rate["afternoon_hours"] == 119 * 6, "119 quiet afternoons"
    assert 60 < rate["longest_silence"] < 120, "two hours and not one"
    assert rate["two_per_cent"] < 1, "the first fallback has overspent"
    assert weekend["hours"] == 63 and weekend["approved_fallback"] < weekend["approved_lowest_day"]

"""How soon an alert on the fallback rings, and how often in vain; prints one JSON object.

Time is simulated, minute by minute, over the hours at which Tally's shoppers really came.
"""

import json

import numpy as np
import pandas as pd

HOUR, DAY = 60, 1440  # in minutes
BUDGET = 0.01  # the objective: within four weeks 99 of 100 decisions are the model's
QUIET = 0.005  # share of fallbacks on a good day: a timeout here and there
POLICIES = {  # clauses of (long window, short window, share, least number in the long window)
    "simple": [(5, 5, 0.05, 1)],
    "workbook": [(HOUR, 5, 14.4 * BUDGET, 1), (6 * HOUR, 30, 6 * BUDGET, 1)],
    "counted": [(6 * HOUR, HOUR, 6 * BUDGET, 3)],
    "two_pairs": [(HOUR, 30, 14.4 * BUDGET, 3), (6 * HOUR, HOUR, 6 * BUDGET, 3)],
    "ticket": [(3 * DAY, 6 * HOUR, BUDGET, 12)],
    "segment": [(DAY, DAY, 14.4 * BUDGET, 3)],
}


def firing(decisions, fallbacks, policy):
    """For each minute, whether one of the policy's clauses holds; both are counts by
    minute.

    A clause holds when the share of fallbacks is above its limit in the long window *and*
    in the short one, and the long one has enough of them. A window without decisions has no
    share, and holds nothing.
    """
    if len(decisions) != len(fallbacks) or np.any(np.asarray(fallbacks) > decisions):
        raise ValueError("a minute has more fallbacks than decisions")
    sums = [np.r_[0, np.cumsum(counts)] for counts in (decisions, fallbacks)]
    ends = np.arange(1, len(decisions) + 1)

    def last(minutes):
        return [total[ends] - total[np.maximum(ends - minutes, 0)] for total in sums]

    rings = np.zeros(len(decisions), bool)
    for long, short, limit, least in policy:
        (all_long, bad_long), (all_short, bad_short) = last(long), last(short)
        over = (bad_long > limit * all_long) & (bad_short > limit * all_short)
        rings |= over & (bad_long >= least)
    return rings


def starts(rings, keep=0):
    """The minutes in which an alert begins to ring; it goes on ringing for `keep`
    minutes, like keep_firing_for."""
    ringing = np.flatnonzero(rings)
    return ringing[np.diff(ringing, prepend=-np.inf) > 1 + keep]


def by_minute(times, first, minutes):
    """How many of `times` fall into each of the `minutes` after `first`."""
    at = (pd.DatetimeIndex(times) - pd.Timestamp(first)) // pd.Timedelta("1min")
    return np.bincount(at[(at >= 0) & (at < minutes)], minlength=minutes)


def in_vain(decisions, policy, replays=100):
    """Pages in four weeks in which only chance sends decisions to the fallback; an
    hour's pages count as one."""
    rng = np.random.default_rng(7)
    pages = [
        len(starts(firing(decisions, rng.binomial(decisions, QUIET), policy), keep=HOUR))
        for _ in range(replays)
    ]
    return np.mean(pages) * 28 * DAY / len(decisions)


def delays(decisions, share, began, policy, replays=100):
    """Minutes from `began` to the first ring when `share` of decisions fall back;
    infinite if it never rings."""
    rng = np.random.default_rng(7)
    after = np.arange(len(decisions)) >= began
    found = []
    for _ in range(replays):
        fallbacks = rng.binomial(decisions, np.where(after, share, QUIET))
        rung = np.flatnonzero(firing(decisions, fallbacks, policy)[began:])
        found.append(rung[0] + 1 if len(rung) else np.inf)
    return np.array(found)


def chain(applications, began, days, rng, replays=40):
    """One chain falls back and nobody else: its share, and hours to a ring of its own alert
    and of all others.

    The chain is the toy shops' tills, one of 18 groups of channel and merchandise.
    """
    groups = ["channel", "merchant_category"]
    minutes = days * DAY
    counts = {
        name: by_minute(rows.applied_at, began, minutes)
        for name, rows in applications.groupby(groups, observed=True)
    }
    everything = sum(counts.values())
    broken = counts["till", "toys"]
    rings = {"segment": [], "counted": [], "ticket": []}
    vain = []
    start = 7 * DAY  # a good week first
    for _ in range(replays):
        bad = {name: rng.binomial(count, QUIET) for name, count in counts.items()}
        vain.append(sum(len(starts(firing(counts[name], bad[name], POLICIES["segment"]))) for name in counts))
        bad["till", "toys"] = np.where(np.arange(minutes) < start, bad["till", "toys"], broken)
        for policy, found in rings.items():
            of = (broken, bad["till", "toys"]) if policy == "segment" else (everything, sum(bad.values()))
            rung = np.flatnonzero(firing(*of, POLICIES[policy])[start:])
            found.append(rung[0] / HOUR if len(rung) else np.inf)
    out = {
        "chain_share": broken[start:].sum() / everything[start:].sum(),
        "chain_a_day": broken.sum() / days,
        "chain_days": days,
        "segment_vain": np.mean(vain) * 28 / days,
    }
    for policy, found in rings.items():
        out[f"chain_{policy}_rung"], out[f"chain_{policy}_hours"] = (
            np.isfinite(found).mean(),
            np.median(found),
        )
    return out


def figures(applications):
    rng = np.random.default_rng(7)
    times = applications.applied_at
    days = 17 * 7
    quiet = by_minute(times, "2024-07-01", days * DAY)
    hours = quiet.reshape(-1, HOUR).sum(axis=1)
    afternoons = quiet.reshape(-1, DAY)[:, 12 * HOUR : 18 * HOUR]
    a_day = quiet.sum() / days
    out = {
        "decisions_a_day": a_day,
        "budget_decisions": 28 * a_day * BUDGET,
        "two_per_cent": 0.02 * 28 * a_day * BUDGET,  # of the budget: what the workbook's first page waits for
        "busiest_hour": hours.reshape(-1, 24).mean(axis=0).max(),
        "empty_5_minutes": np.mean(afternoons.reshape(-1, 5).sum(axis=1) == 0),
        "empty_afternoon_hours": np.sum(afternoons.reshape(-1, HOUR).sum(axis=1) == 0),
        "afternoon_hours": afternoons.size / HOUR,
        "longest_silence": max(
            np.diff(np.flatnonzero(np.r_[1, day, 1])).max()
            for day in quiet.reshape(-1, DAY)[:, 11 * HOUR : 18 * HOUR]
        ),
    }
    friday, monday = 12 * DAY + 18 * HOUR, 15 * DAY + 9 * HOUR  # of the green weekend, from 1 December 2024
    december = by_minute(times, "2024-12-01", monday)
    for name in ("simple", "workbook", "counted", "two_pairs", "ticket"):
        policy = POLICIES[name]
        out[f"{name}_vain"] = in_vain(quiet, policy)
        for share in (1.0, 0.1):
            waited = delays(december, share, friday, policy)
            out[f"{name}_minutes_{100 * share:.0f}"] = np.median(waited)
        all_bad = np.where(np.arange(monday) >= friday, december, 0)
        rung = firing(december, all_bad, policy)[friday:]
        out[f"{name}_starts"], out[f"{name}_starts_kept"] = len(starts(rung)), len(starts(rung, keep=HOUR))
    out["hundred_workbook_a_day"] = 100 * out["workbook_vain"] / 28
    out["hundred_counted_a_week"] = 100 * out["counted_vain"] / 4
    for factor in (10, 100):
        more = rng.poisson(np.repeat(hours / HOUR, HOUR) * factor)
        out[f"workbook_vain_{factor}"] = in_vain(more, POLICIES["workbook"], 5)
        out[f"counted_vain_{factor}"] = in_vain(more, POLICIES["counted"], 5)
        if factor == 100:
            policy = POLICIES["workbook"]
            rung = [starts(firing(more, rng.binomial(more, QUIET), policy), keep=HOUR) for _ in range(5)]
            out["workbook_100_at_opening"] = np.mean(np.concatenate(rung) % DAY < 9 * HOUR)
    return out | chain(applications, "2024-08-26", 14, rng)


if __name__ == "__main__":
    found = figures(pd.read_parquet("data/applications.parquet"))
    print(json.dumps({name: float(value) for name, value in found.items()}, indent=1))

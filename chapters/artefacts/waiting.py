"""How long a till waits on Black Friday: a queue in simulated time, fed with Tally's own
applications.

A row of the data stands for 2,000 applications, spread over the half hour before and after
it. An application keeps a worker (one pod, one core) busy for 0.2 s on average,
exponentially distributed: score, and reasons for whoever is declined. The till gives up
after 3 s. Prices are chosen, not measured.

    python chapters/artefacts/waiting.py > chapters/artefacts/waiting.json
"""

import json
import math
from collections import deque
from heapq import heappop, heappush, heapreplace

import numpy as np
import pandas as pd

ROWS, SPREAD = 2_000, 1_800  # applications for a row; seconds
SERVICE = 0.2  # seconds of a worker
LATE = 3.0  # seconds after which the till has decided alone
EVERY, CALM = 15, 20  # Kubernetes' autoscaler looks every 15 s, and shrinks after 300 calm ones
POD_HOUR = 0.05  # euros


def day(date, rng):
    """Seconds after midnight at which the applications of `date` ("2025-11-28") arrive,
    sorted."""
    at = pd.read_parquet("data/applications.parquet", columns=["applied_at"]).applied_at
    seconds = (at - pd.Timestamp(date)).dt.total_seconds()
    seconds = seconds[seconds.between(0, 86_400, inclusive="left")].to_numpy()
    if not len(seconds):
        raise ValueError(f"no application on {date}")
    copies = np.repeat(seconds, ROWS)
    return np.sort((copies + rng.uniform(-SPREAD, SPREAD, len(copies))) % 86_400)


def serve(arrivals, work, workers, wait=math.inf, lost=None):
    """Seconds to the answer when all workers share one queue, first come first served.

    Who would wait longer than `wait` is sent away without work, as inf.
    `lost` = (second, workers, seconds until they are replaced) takes workers away;
    what they have begun is still answered.
    """
    free, answered = [0.0] * workers, np.full(len(arrivals), np.inf)
    for i, (now, seconds) in enumerate(zip(arrivals.tolist(), work.tolist(), strict=True)):
        if lost and now >= lost[0]:
            for _ in range(lost[1]):
                heapreplace(free, lost[0] + lost[2])
            lost = None
        start = max(now, free[0])  # free[0]: when the next worker is idle
        if start - now <= wait:
            heapreplace(free, start + seconds)
            answered[i] = start + seconds - now
    return answered


def scatter(arrivals, work, workers, choices, rng):
    """The same, when each worker has its own queue: the less busy of `choices` workers
    drawn at random."""
    free, answered = [0.0] * workers, np.empty(len(arrivals))
    drawn = rng.integers(workers, size=(len(arrivals), choices)).tolist()
    for i, (now, seconds) in enumerate(zip(arrivals.tolist(), work.tolist(), strict=True)):
        one = min(drawn[i], key=free.__getitem__)
        free[one] = max(now, free[one]) + seconds
        answered[i] = free[one] - now
    return answered


def autoscaled(arrivals, work, least, target, cold):
    """One queue, and as many workers as an autoscaler holds: (answered, worker-hours,
    steps).

    The rule is Kubernetes': workers wanted = busy workers / `target`, unless within a tenth
    of that; a new one works `cold` seconds after it was asked for. A step is (second,
    workers, utilisation).
    """
    free, wanted, answered = [0.0] * least, deque(maxlen=CALM), np.empty(len(arrivals))
    arrivals, work, steps, i = arrivals.tolist(), work.tolist(), [], 0
    for end in range(EVERY, 2 * 86_400, EVERY):
        busy = 0.0
        while i < len(arrivals) and (start := max(arrivals[i], free[0])) < end:
            heapreplace(free, start + work[i])
            answered[i] = start + work[i] - arrivals[i]
            busy, i = busy + work[i] / EVERY, i + 1
        steps.append((end, len(free), busy / len(free)))
        near = abs(busy / target / len(free) - 1) <= 0.1
        wanted.append(len(free) if near else max(least, math.ceil(busy / target)))
        for _ in range(wanted[-1] - len(free)):
            heappush(free, end + cold)
        while len(free) > max(wanted) and free[0] <= end:
            heappop(free)
        if i == len(arrivals):
            return answered, sum(count for _, count, _ in steps) * EVERY / 3_600, steps
    raise ValueError("the queue never ended")


def batched(arrivals, most, hold=0.0, fixed=0.16, each=0.04):
    """One worker that takes up to `most` at once, for `fixed` + `each` seconds a piece.

    It begins when it is idle and `most` are there, or the first has waited `hold` seconds.
    """
    answered, i, idle = np.empty(len(arrivals)), 0, 0.0
    while i < len(arrivals):
        full = arrivals[i + most - 1] if i + most <= len(arrivals) else np.inf
        start = max(idle, min(full, arrivals[i] + hold))
        n = min(most, np.searchsorted(arrivals, start, side="right") - i)
        idle = start + fixed + each * n
        answered[i : i + n] = idle - arrivals[i : i + n]
        i += n
    return answered


def erlang_c(load, workers):
    """Share that has to wait in M/M/c, for `load` = arrivals per second times seconds of
    work, below c."""
    if not 0 < load < workers:
        raise ValueError(f"a load of {load} on {workers} workers has no steady state")
    terms = [load**k / math.factorial(k) for k in range(workers + 1)]
    waiting = terms[-1] * workers / (workers - load)
    return waiting / (sum(terms[:-1]) + waiting)


def poisson(rate, n, rng):
    return np.cumsum(rng.exponential(1 / rate, n))


def steady(utilisation, workers, rng, n=200_000):
    """Seconds to the answer in a steady stream, after asserting what the formulas of
    Little and Erlang say."""
    rate = utilisation * workers / SERVICE
    arrivals, work = poisson(rate, n, rng), rng.exponential(SERVICE, n)
    answered = serve(arrivals, work, workers)
    moments = rng.uniform(arrivals[n // 10], arrivals[-1], 50_000)
    gone = np.sort(arrivals + answered)
    inside = np.searchsorted(arrivals, moments) - np.searchsorted(gone, moments)
    assert math.isclose(inside.mean(), rate * answered.mean(), rel_tol=0.05), "Little: L = rate x W"
    waits = erlang_c(utilisation * workers, workers)
    expected = waits * SERVICE / (workers * (1 - utilisation))
    assert math.isclose((answered - work).mean(), expected, rel_tol=0.1, abs_tol=0.002), (
        "Erlang: the mean wait"
    )
    waited = (answered - work > 1e-9).mean()
    assert math.isclose(waited, waits, rel_tol=0.05, abs_tol=0.002), "Erlang: who waits at all"
    return answered


def p99(answered):
    return float(np.quantile(answered, 0.99))


def main():
    rng = np.random.default_rng(28)
    figures = {}
    for percent in (50, 80, 90):
        for workers in (1, 4, 16):
            answered = steady(percent / 100, workers, rng)
            figures[f"p99_{percent}_{workers}"] = p99(answered)
            figures[f"mean_{percent}_{workers}"] = float(answered.mean())

    friday = day("2025-11-28", rng)
    work = rng.exponential(SERVICE, len(friday))
    rush = (friday >= 14 * 3_600) & (friday < 16 * 3_600)
    figures |= {"rows": len(friday) // ROWS, "applications": len(friday)}
    figures["rush_rate"] = float(rush.sum() / 7_200)
    figures["rush_busy"] = float(work[rush].sum() / 7_200 / 4)
    ways = {
        "own": scatter(friday, work, 4, 1, rng),
        "two": scatter(friday, work, 4, 2, rng),
        "one": serve(friday, work, 4),
    }
    for name, answered in ways.items():
        figures[f"{name}_mean"] = float(answered[rush].mean())
        figures[f"{name}_half"] = float(np.median(answered[rush]))
        figures[f"{name}_p99"] = p99(answered[rush])
        figures[f"{name}_late"] = float((answered[rush] > LATE).mean())
        figures[f"{name}_late_day"] = int((answered > LATE).sum())
    for pods in (5, 6):
        answered = scatter(friday[rush], work[rush], pods, 1, rng)
        figures[f"own_late_{pods}"] = float((answered > LATE).mean())

    soon = (friday >= 53_000) & (friday < 55_800)  # half of the pods are on a node that dies at three
    for cold in (20, 180):
        for name, wait in (("open", math.inf), ("shed", 1.0)):
            answered = serve(friday[soon], work[soon], 4, wait, lost=(54_000, 2, cold))
            figures[f"dead_{name}_{cold}"] = int((answered > LATE).sum())
            if wait == math.inf:
                last = friday[soon][answered > LATE].max()
                figures[f"dead_{name}_{cold}_minutes"] = float((last - 54_000) / 60)

    saturday = day("2025-11-29", rng)
    saturday_work = rng.exponential(SERVICE, len(saturday))
    figures["saturday_applications"] = len(saturday)
    for cold in (20, 180, 420):
        answered, _, steps = autoscaled(saturday, saturday_work, 2, 0.6, cold)
        late = answered > LATE
        figures[f"saturday_late_{cold}"] = int(late.sum())
        if late.any():
            figures[f"saturday_when_{cold}"] = float(np.median(saturday[late]) / 3_600)
    figures["saturday_most"] = max(count for _, count, _ in steps)
    rush = (saturday >= 14 * 3_600) & (saturday < 16 * 3_600)
    figures["saturday_rate"] = float(rush.sum() / 7_200)

    def quick(pods):
        return p99(serve(saturday[rush], saturday_work[rush], pods)) < 1

    flat = next(pods for pods in range(5, 20) if quick(pods))  # bought for the Saturday, and kept
    _, hours, _ = autoscaled(friday, work, 2, 0.6, 180)
    figures |= {"flat_pods": flat, "flat_hours": 24 * flat, "scaled_hours": hours}
    figures["flat_cost"] = POD_HOUR * 24 * flat / len(friday) * 1_000
    figures["scaled_cost"] = POD_HOUR * hours / len(friday) * 1_000
    figures["flat_busy"] = float(work.sum() / 86_400 / flat)

    for rate in (1, 4, 10):
        arrivals = poisson(rate, 20_000, rng)
        for name, most, hold in (("single", 1, 0), ("greedy", 8, 0), ("held", 8, 0.3)):
            if name != "single" or rate * SERVICE < 1:
                answered = batched(arrivals, most, hold)
                figures[f"{name}_mean_{rate}"] = float(answered.mean())
                figures[f"{name}_p99_{rate}"] = p99(answered)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

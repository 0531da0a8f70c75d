"""How often to save on a machine that may be taken away, and what the discount is then
worth.

Interruptions come as a Poisson process. Times are hours; the cost is in hours of an
undisturbed machine.
"""

import json
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np


@dataclass(frozen=True)
class Spot:
    work: float = 20.0  # hours that the job takes if nobody disturbs it
    between: float = 6.0  # mean hours from one interruption to the next
    save: float = 3 / 60
    restart: float = 10 / 60  # machine, image, data, last checkpoint
    price: float = 0.35  # of the price of a machine that stays

    def interval(self):
        """Hours of work between two saves, to first order (Young 1974)."""
        return sqrt(2 * self.save * self.between)

    def hours(self, interval=None):
        """Expected hours with a save after each `interval` of work; None never saves.

        M exp(R/M) (exp((tau + delta)/M) - 1) work/tau, the complete model of
        Daly (2006); the tests compare it with `simulate`.
        """
        segment = self.work if interval is None else interval + self.save
        pieces = 1 if interval is None else self.work / interval
        again = self.between * exp(self.restart / self.between)
        return again * (exp(segment / self.between) - 1) * pieces

    def cost(self, interval=None):
        return self.hours(interval) * self.price

    def best_interval(self):
        return min(np.geomspace(0.02, self.work, 4000), key=self.hours)


def simulate(spot, interval, jobs, rng):
    """Hours that each of so many jobs took; the last piece is saved too, for it is the
    result."""
    pieces = np.full(round(spot.work / interval), interval + spot.save)
    took = np.zeros(jobs)
    for job in range(jobs):
        alive = rng.exponential(spot.between)
        for piece in pieces:
            needed = piece
            while alive < needed:  # taken away, perhaps even while restarting
                took[job] += alive
                alive, needed = rng.exponential(spot.between), spot.restart + piece
            alive -= needed
            took[job] += needed
    return took


def figures():
    spot = Spot()
    tau = spot.interval()
    took = simulate(spot, 0.8, 2000, np.random.default_rng(9))
    rare = next(m for m in np.arange(1, 400, 0.5) if Spot(between=m).cost() < spot.work)
    return {
        "hours_never": spot.hours(),
        "cost_never": spot.cost() / spot.work,
        "interval_minutes": 60 * tau,
        "best_minutes": 60 * float(spot.best_interval()),
        "hours": spot.hours(tau),
        "hours_more": spot.hours(tau) / spot.work - 1,
        "saved": 1 - spot.cost(tau) / spot.work,
        "half_more": spot.hours(tau / 2) / spot.hours(tau) - 1,
        "double_more": spot.hours(2 * tau) / spot.hours(tau) - 1,
        "quarter_more": spot.hours(tau / 4) / spot.hours(tau) - 1,
        "fourfold_more": spot.hours(4 * tau) / spot.hours(tau) - 1,
        "wrong_rate_more": spot.hours(Spot(between=24).interval()) / spot.hours(tau) - 1,
        "never_pays_from": float(rare),
        "simulated_mean": float(took.mean()),
        "formula_mean": spot.hours(0.8),
        "simulated_95": float(np.quantile(took, 0.95)),
    }


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))

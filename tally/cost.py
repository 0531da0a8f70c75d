"""What serving costs in three ways, from which volume on another is cheaper, and what
leaving costs.

Every price is an input with a round number that we chose; none is a vendor's. Change them:
`crossing(Inputs(engineer_hour=50), "managed", "own")`. All amounts are euros a month unless
a name says otherwise.
"""

from dataclasses import dataclass, fields, replace
from math import exp, inf, isinf, log

HOURS = 730  # of a month


@dataclass(frozen=True)
class Inputs:
    machine_hour: float = 0.10  # own machine, four cores
    managed_surcharge: float = 0.40  # the same machine in a managed endpoint
    call_million: float = 0.40  # serverless: a million calls
    gigabyte_second: float = 0.00002  # serverless: memory while it works
    gigabytes: float = 2.0
    call_seconds: float = 0.05  # one core is busy for one call
    busy: float = 0.5  # share of its cores that may be at work
    spares: float = 2.0  # machines at least, so that one may die
    peak: float = 4.0  # the busiest hour over the mean hour
    follows: float = 0.8  # an autoscaler follows the load; 0 always pays for the peak
    engineer_hour: float = 80.0
    serverless_hours: float = 4.0  # of an engineer, a month
    managed_hours: float = 8.0
    own_hours: float = 40.0  # upgrades, certificates, nights on call


def machines(given, requests):
    """How many machines are paid to serve so many requests a month, in fractions, as in
    a large fleet."""
    mean = requests / (HOURS * 3600) * given.call_seconds / (4 * given.busy)
    return max(given.spares, mean * (1 + (given.peak - 1) * (1 - given.follows)))


def cost(given, way, requests):
    """Euros a month for `requests` a month, "serverless", "managed" or "own"."""
    people = getattr(given, f"{way}_hours") * given.engineer_hour
    if way == "serverless":
        memory = given.gigabytes * given.call_seconds * given.gigabyte_second
        return people + requests * (given.call_million / 1e6 + memory)
    hour = given.machine_hour * (1 + given.managed_surcharge * (way == "managed"))
    return people + machines(given, requests) * HOURS * hour


def crossing(given, small, large, low=1e3, high=1e13):
    """Requests a month from which on `large` is cheaper for good than `small`; infinite
    if it never is."""

    def lead(requests):
        return cost(given, small, requests) - cost(given, large, requests)

    if lead(high) < 0:
        return inf
    low, high = log(low), log(high)
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if lead(exp(middle)) < 0 else (low, middle)
    return exp(high)


def sensitivity(given, small, large):
    """{input: (crossing with half of it, with twice as much)}, the one that moves it most
    first.

    A share, such as `follows`, is at most 1 when it is doubled.
    """
    moved = {}
    for one in fields(given):
        value = getattr(given, one.name)
        twice = min(2 * value, 1.0) if one.name in ("follows", "busy") else 2 * value
        moved[one.name] = tuple(
            crossing(replace(given, **{one.name: changed}), small, large) for changed in (value / 2, twice)
        )
    return dict(sorted(moved.items(), key=lambda item: -spread(*item[1])))


def spread(halved, doubled):
    return inf if isinf(halved) != isinf(doubled) else 0.0 if isinf(halved) else abs(log(doubled / halved))


@dataclass(frozen=True)
class Leaving:
    terabytes: float = 20.0
    terabyte_out: float = 80.0  # euros for a terabyte that leaves
    engineer_week: float = 40 * 80.0
    weeks_bare: float = (
        30.0  # to move identities, features, pipelines, alarms that were written for one cloud
    )
    weeks_insured: float = 8.0  # the same behind interfaces that were kept and tried
    insurance_hours: float = 10.0  # of an engineer a month, to keep and try them
    second_hours: float = 40.0  # of an engineer a month, to run in two clouds at once

    def leave(self, weeks):
        return self.terabytes * self.terabyte_out + weeks * self.engineer_week

    def premium_year(self):
        return self.insurance_hours * 12 * self.engineer_week / 40

    def worth_it_from(self):
        """The chance, a year, of having to leave from which on the insurance is worth
        its premium."""
        return self.premium_year() / ((self.weeks_bare - self.weeks_insured) * self.engineer_week)


def peak_of(applied_at):
    """The busiest day's busiest hour over the mean hour, the day's shape taken from all
    days."""
    day, hour = applied_at.dt.normalize().value_counts(), applied_at.dt.hour.value_counts(normalize=True)
    return day.max() / day.mean() * hour.max() * 24

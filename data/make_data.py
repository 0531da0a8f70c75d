"""Generate the applications of Tally, a fictional lender, with the events that labs must find.

`python data/make_data.py` writes beside itself:

- `applications.parquet`: what Tally saw, one row for each application (see README.md, the datasheet)
- `truth.parquet`: what nobody sees, the probability that each application is repaid and its true income
- `events.csv`: what happened and when, the answer key of the labs

The process, in causal order. A customer has an age group, a region, an income and a *reliability* that no
column shows. Customers arrive, apply at their own rate, more on weekends and before Christmas, and leave.
An application has a shop, a channel, a basket and an hour. The credit bureau sees part of the reliability
as utilisation. The log-odds of not repaying add up what `unpaid_log_odds` says; one uniform draw decides.
Some customers pay late but pay; lateness of the last 180 days is known to the next application, so the past
acts on the future as it does at a real lender.

The same seed and the same lock give the same bytes.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 7
FIRST_DAY = pd.Timestamp("2024-01-01")
LAST_DAY = pd.Timestamp("2025-12-31")
DAYS = (LAST_DAY - FIRST_DAY).days + 1
BURN_IN = 250  # days simulated before the first row, so that its customers have a past

DUE_AFTER = 30  # days from purchase to the due date; an open purchase counts in open_balance until then
LABEL_AFTER = 45  # days from purchase to the verdict: repaid or not

CATEGORIES = ["electronics", "fashion", "home", "sport", "toys", "travel"]
CHANNELS = ["app", "till", "web"]
AGE_GROUPS = ["18-25", "26-40", "41-60", "61+"]
REGIONS = ["centre", "east", "north", "south", "west"]

EVENTS = pd.DataFrame(
    [
        (
            "student_campaign",
            "covariate shift",
            "2025-02-10",
            "2025-03-23",
            "income basket tenure_days purchases_180d late_180d open_balance merchant_category channel",
            "A campaign brings first-time students; who repays, given what we see, is as before.",
        ),
        (
            "unit_bug",
            "data fault",
            "2025-04-14",
            "2025-04-27",
            "income",
            "New till firmware sends monthly instead of yearly income; behaviour is as before.",
        ),
        (
            "rival_lender",
            "concept change",
            "2025-06-09",
            "2025-12-31",
            "",
            "A rival lends to the same shoppers and reports to no bureau: the inputs look as before, "
            "what they say about repayment changes, the share repaid stays.",
        ),
        (
            "growth",
            "slow drift",
            "2025-07-01",
            "2025-12-31",
            "tenure_days purchases_180d late_180d open_balance",
            "Customers arrive faster every week, so the typical customer gets newer.",
        ),
        (
            "checkout_redesign",
            "harmless drift",
            "2025-09-15",
            "2025-12-31",
            "checkout_seconds",
            "A new checkout is quicker; the time spent in it never said anything about repayment.",
        ),
        (
            "christmas_2024",
            "season",
            "2024-11-18",
            "2024-12-31",
            "merchant_category basket channel open_balance purchases_180d",
            "Black Friday and Christmas: more traffic, larger baskets, more electronics and toys.",
        ),
        (
            "christmas_2025",
            "season",
            "2025-11-17",
            "2025-12-31",
            "merchant_category basket channel open_balance purchases_180d",
            "The same season a year later.",
        ),
    ],
    columns=["event", "kind", "first_day", "last_day", "columns", "what"],
)


def day_of(date):
    """Days from FIRST_DAY to `date`."""
    return (pd.Timestamp(date) - FIRST_DAY).days


CAMPAIGN, BUG, RIVAL, GROWTH, REDESIGN = (
    (day_of(first), day_of(last)) for first, last in EVENTS[["first_day", "last_day"]].head(5).values
)


def dates(day):
    """The dates of days counted from FIRST_DAY."""
    return pd.DatetimeIndex(FIRST_DAY + pd.to_timedelta(np.asarray(day), unit="D"))


def christmas(day):
    """How much of the Christmas season a day has, 0 to 1 (peaks in Black Friday's week)."""
    date = dates(day)
    into = np.asarray(date.dayofyear - date.is_leap_year) - 322  # 18 November is day 322
    return np.where((into >= 0) & (into < 14), 1.0, np.where((into >= 14) & (into < 44), 0.6, 0.0))


def summer(day):
    """1 in July and August, when people travel, else 0."""
    return np.isin(dates(day).month, [7, 8]).astype(float)


def weekend(day):
    """1 on Saturdays and Sundays, else 0."""
    return (dates(day).dayofweek >= 5).astype(float)


def traffic(day):
    """Relative number of applications on a day."""
    return (1 + 0.4 * weekend(day)) * (1 + 0.9 * christmas(day))


def choose(rng, weights):
    """One column index for each row of unnormalised `weights`, shape (rows, options)."""
    cumulative = np.cumsum(weights, axis=1)
    return (rng.random(len(weights))[:, None] * cumulative[:, -1:] > cumulative).sum(axis=1)


def make_customers(rng):
    """All customers that ever apply: regular ones, then the students of the campaign."""
    days = np.arange(-1500, DAYS)  # long before the first row, so that the number of customers is steady
    growth = 1 + 2.0 * np.clip((days - GROWTH[0]) / (GROWTH[1] - GROWTH[0]), 0, 1)
    regular = np.repeat(days, rng.poisson(21 * growth))
    campaign_days = np.arange(CAMPAIGN[0], CAMPAIGN[1] + 1)
    students = np.repeat(campaign_days, rng.poisson(60 * (1 + 0.4 * weekend(campaign_days))))

    arrives = np.concatenate([regular, students])
    order = np.argsort(arrives, kind="stable")
    arrives, student = arrives[order], order >= len(regular)
    rows = len(arrives)
    age = choose(rng, np.where(student[:, None], [1, 0, 0, 0], [0.21, 0.43, 0.30, 0.06]))
    typical_income = np.where(student, 15_000, np.array([22_000, 36_000, 42_000, 27_000])[age])
    return pd.DataFrame(
        {
            "arrives": arrives,
            "leaves": np.where(student, arrives, arrives + rng.exponential(300, rows)),
            "student": student,
            "age": age,
            "region": rng.integers(len(REGIONS), size=rows),
            "income": np.round(typical_income * np.exp(rng.normal(0, 0.42, rows)), -2),
            "reliability": rng.normal(size=rows),
            "rate": rng.gamma(1.5, 0.013 / 1.5, rows),  # applications a day after the first
        }
    )


def make_visits(rng, customers):
    """Customer and day of every application: the first on arrival, then a thinned Poisson process."""
    start = np.maximum(customers.arrives, -BURN_IN)
    stop = np.minimum(customers.leaves, DAYS)
    busiest = 1.4 * 1.9
    candidates = rng.poisson(customers.rate * np.maximum(stop - start, 0) * busiest)
    later = np.repeat(customers.index, candidates)
    day = np.floor(start[later] + rng.random(len(later)) * (stop - start)[later]).astype(int)
    kept = rng.random(len(later)) < traffic(day) / busiest
    first = customers.index[customers.arrives >= -BURN_IN]
    visits = pd.DataFrame(
        {
            "customer": np.concatenate([first, later[kept]]),
            "day": np.concatenate([customers.arrives[first], day[kept]]),
        }
    )
    visits["arrival"] = np.arange(len(visits)) < len(first)
    return visits


def make_applications(rng, customers):
    """Everything about each application but its history and outcome, in order of time."""
    visits = make_visits(rng, customers)
    customer = customers.loc[visits.customer].reset_index(drop=True)
    rows, day = len(visits), visits.day.to_numpy()
    x, w, s = christmas(day), weekend(day), summer(day)
    young, old = (customer.age == 0).to_numpy(float), (customer.age == 3).to_numpy(float)
    student = customer.student.to_numpy(float)

    appeal = np.stack(
        [
            0.0 + 0.7 * x + 0.3 * young,  # electronics
            0.5 + 0.5 * young + 0.2 * w + 0.4 * student,  # fashion
            0.2 + 0.3 * w - 0.8 * student,  # home
            np.full(rows, -0.4),  # sport
            -1.2 + 1.6 * x,  # toys
            -0.9 + 0.9 * s - 0.5 * x - 0.8 * student,  # travel
        ],
        axis=1,
    )
    category = choose(rng, np.exp(appeal))
    reach = np.stack(
        [0.2 + 0.6 * young - 0.9 * old, 0.2 + 0.4 * w + 0.4 * old - 1.5 * student, 0.1 + 0.3 * x],
        axis=1,
    )
    channel = choose(rng, np.exp(reach))
    income = customer.income.to_numpy()
    basket = np.exp(
        np.array([5.3, 4.2, 4.7, 4.4, 3.8, 5.7])[category]
        + 0.35 * np.log(income / 33_000)
        + 0.18 * x
        + 0.08 * w
        + rng.normal(0, 0.55, rows)
    )
    night = rng.random(rows) < np.where(channel == 1, 0.0, 0.12)
    hour = np.where(night, rng.integers(0, 5, rows), np.clip(np.round(rng.normal(15, 3.5, rows)), 8, 22))
    second = rng.integers(3600, size=rows)
    # the bureau knows little about people who never borrowed: for the oldest it mostly reports noise
    seen = np.where(old == 1, 0.25, 1.0)
    reported = -0.9 - 0.85 * seen * customer.reliability + rng.normal(0, 0.75, rows)
    quicker = np.where(day >= REDESIGN[0], 0.6, 1.0)

    applications = pd.DataFrame(
        {
            "customer": visits.customer,
            "day": day,
            "time": day * 86_400.0 + hour * 3600 + second,
            "category": category,
            "channel": channel,
            "basket": np.round(np.clip(basket, 5, 4000), 2),
            "night": night.astype(float),
            "income": income,
            "tenure": np.where(visits.arrival, 0, day - customer.arrives),
            "utilisation": np.round(1 / (1 + np.exp(-reported)), 3),
            "checkout": np.round(np.exp(rng.normal(4.2, 0.45, rows)) * quicker, 1),
            "age": customer.age,
            "region": customer.region,
            "reliability": customer.reliability,
        }
    )
    return applications.sort_values(["time", "customer"], kind="stable", ignore_index=True)


def unpaid_log_odds(a, before):
    """Log-odds that an application is not repaid, from all but its late payments.

    Before the rival arrives, debt, a stretched budget, a short acquaintance and bad nights matter. After it,
    utilisation no longer shows who is in debt, the rival takes the thrifty and leaves the rest, and it matters
    through which channel and for what one buys. The constants keep the share repaid where it was.
    """
    stretch = np.log(a.basket / a.income) + 5.7  # 0 for a typical basket of a typical income
    newcomer = np.exp(-a.tenure / 60)
    utilisation = a.utilisation - 0.3
    app, electronics, fashion, travel = a.channel == 0, a.category == 0, a.category == 1, a.category == 5
    usual = (
        -3.35
        - 0.6 * a.reliability
        + 1.2 * utilisation
        + 5.0 * np.maximum(utilisation - 0.2, 0)  # past one half, every euro of credit hurts
        + 1.7 * np.maximum(stretch - 0.2, 0)  # a budget is no problem until it is
        + 0.5 * newcomer * (1 + 2 * electronics)
        + 1.3 * a.night * (electronics | (a.tenure < 30))
    )
    rival = (
        -2.56
        - 0.5 * a.reliability
        + 0.3 * utilisation
        + 0.6 * np.maximum(stretch, 0)
        - 0.3 * newcomer
        + 1.7 * app * (electronics | fashion)
        - 0.9 * travel
        + 1.5 * (a.channel == 2) * (a.tenure > 180)
    )
    return np.where(before, usual, rival)


def add_history_and_outcome(rng, a):
    """Walk each customer's applications in order; add history, probability, outcome and lateness."""
    log_odds = unpaid_log_odds(a, before=a.day < RIVAL[0])
    draw, slow_draw = rng.random(len(a)), rng.random(len(a))
    # pensioners pay by transfer and often some days late, and then in full
    slow = np.where(a.age == 3, 0.30, 0.05)
    weight_of_lateness = np.where(a.day < RIVAL[0], 0.55, 0.2) * np.where(a.age == 3, 0.3, 1.0)
    time, basket = a.time.to_numpy() / 86_400, a.basket.to_numpy()

    purchases, late_180d = np.zeros(len(a), int), np.zeros(len(a), int)
    open_balance, p_unpaid = np.zeros(len(a)), np.zeros(len(a))
    unpaid, late = np.zeros(len(a), bool), np.zeros(len(a), bool)
    for rows in a.groupby("customer").indices.values():
        for position, i in enumerate(rows):
            past = rows[:position]
            past = past[time[past] > time[i] - 180 - DUE_AFTER]
            age_of_purchase = time[i] - time[past]
            purchases[i] = (age_of_purchase < 180).sum()
            open_balance[i] = basket[past][age_of_purchase < DUE_AFTER].sum()
            late_180d[i] = late[past][age_of_purchase >= DUE_AFTER].sum()
            p_unpaid[i] = 1 / (1 + np.exp(-log_odds[i] - weight_of_lateness[i] * min(late_180d[i], 3)))
            unpaid[i] = draw[i] < p_unpaid[i]
            late[i] = unpaid[i] or slow_draw[i] < slow[i]
    return a.assign(
        purchases=purchases,
        late_180d=late_180d,
        open_balance=np.round(open_balance, 2),
        p_repaid=1 - p_unpaid,
        repaid=~unpaid,
    )


def make():
    """Return (applications, truth, events) as DataFrames."""
    rng = np.random.default_rng(SEED)
    customers = make_customers(rng)
    a = add_history_and_outcome(rng, make_applications(rng, customers))
    a = a[a.day >= 0].reset_index(drop=True)

    applied_at = (FIRST_DAY + pd.to_timedelta(a.time, unit="s")).astype("datetime64[ms]")
    monthly = (a.day >= BUG[0]) & (a.day <= BUG[1]) & (a.channel == 1)
    number = a.customer.rank(method="dense").astype("int32")  # the order of arrival
    applications = pd.DataFrame(
        {
            "application_id": np.arange(1, len(a) + 1, dtype="int32"),
            "customer_id": number,
            "applied_at": applied_at,
            "channel": pd.Categorical.from_codes(a.channel, CHANNELS),
            "merchant_category": pd.Categorical.from_codes(a.category, CATEGORIES),
            "basket": a.basket,
            "income": np.where(monthly, np.round(a.income / 12), a.income).astype("int32"),
            "tenure_days": a.tenure.astype("int16"),
            "purchases_180d": a.purchases.astype("int16"),
            "late_180d": a.late_180d.astype("int16"),
            "open_balance": a.open_balance,
            "utilisation": a.utilisation,
            "checkout_seconds": a.checkout,
            "region": pd.Categorical.from_codes(a.region, REGIONS),
            "age_group": pd.Categorical.from_codes(a.age, AGE_GROUPS),
            "repaid": a.repaid,
            "label_known_at": (applied_at + pd.Timedelta(days=LABEL_AFTER)).astype("datetime64[ms]"),
        }
    )
    truth = pd.DataFrame(
        {
            "application_id": applications.application_id,
            "p_repaid": np.round(a.p_repaid, 4),
            "income": a.income.astype("int32"),
        }
    )
    return applications, truth, EVENTS


def write(folder):
    """Write the three files into `folder`."""
    applications, truth, events = make()
    applications.to_parquet(folder / "applications.parquet", compression="zstd", index=False)
    truth.to_parquet(folder / "truth.parquet", compression="zstd", index=False)
    events.to_csv(folder / "events.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    write(parser.parse_args().folder)

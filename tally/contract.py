"""What the shops promise of each day's applications. Version 2, of August 2025, after the
unit bug.

Signed by the shops' product owner, who can break it, and by the owner of losses, who pays
when it is broken. A change of meaning is a new version and is announced 45 days ahead, the
time a label takes.

    python -m tally.contract data/applications.parquet 2025-04-14

prints the clauses that a day broke and ends with 1, or says "kept" and ends with 0.
"""

import sys

import pandas as pd
import pandera.pandas as pa

from tally.decision_log import CHANNELS, GOODS

# A year's income in euros, as the customer declared it.
YEARLY = (10_000, 100_000)  # where the median of a channel must lie on any day; a month's income is far below


def a_year(by_channel: dict[str, pd.Series]) -> bool:
    """The unit cannot be seen in a row, so it is promised of each channel's day."""
    return all(YEARLY[0] < income.median() < YEARLY[1] for income in by_channel.values())


# Clauses that a row keeps or breaks, then two that only a day can.
NUMBERS = {
    "basket": [pa.Check.in_range(1, 5_000)],
    "income": [
        pa.Check.in_range(0, 1_000_000),
        pa.Check(lambda income: income % 100 == 0, name="whole hundreds, as the form offers them"),
        pa.Check(a_year, groupby="channel", name="income of a year, by channel"),
    ],
    "tenure_days": [pa.Check.in_range(0, 5_000)],
    "purchases_180d": [pa.Check.in_range(0, 500)],
    "late_180d": [pa.Check.in_range(0, 500)],
    "open_balance": [pa.Check.in_range(0, 50_000)],
    "utilisation": [pa.Check.in_range(0, 1)],
    "checkout_seconds": [pa.Check.in_range(0, 3_600)],
}
WORDS = {
    "channel": list(CHANNELS),
    "merchant_category": list(GOODS),
    "region": ["centre", "east", "north", "south", "west"],
}
CONTRACT = pa.DataFrameSchema(
    {"application_id": pa.Column(unique=True)}
    | {column: pa.Column(float, checks) for column, checks in NUMBERS.items()}
    | {column: pa.Column(str, pa.Check.isin(words)) for column, words in WORDS.items()},
    checks=[pa.Check(lambda day: len(day) > 0, name="a day has rows")],  # or its medians are of nothing
)


def broken(day: pd.DataFrame) -> list[str]:
    """Names of the clauses that the rows of `day` break, sorted; none if it keeps the
    contract."""
    numbers = {column: pd.to_numeric(day[column], errors="coerce").astype(float) for column in NUMBERS}
    day = day.assign(**numbers).astype(dict.fromkeys(WORDS, str))  # convert first, then check
    try:
        CONTRACT.validate(day, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        return sorted(set(cases.column.fillna("day").astype(str) + ": " + cases.check.astype(str)))
    return []


if __name__ == "__main__":
    rows = pd.read_parquet(sys.argv[1])
    said = broken(rows[rows.applied_at.dt.strftime("%Y-%m-%d") == sys.argv[2]])
    print(*(said or ["kept"]), sep="\n")
    sys.exit(bool(said))

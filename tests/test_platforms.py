"""Every lock can be installed on every system and Python that the course promises; asked without a network."""

import platforms
import pytest
from conftest import ROOT

pytestmark = pytest.mark.xdist_group("platforms")
LEARNERS = (ROOT / "requirements.txt").read_text()
WINDOWS = platforms.LEARNERS[-1]


@pytest.fixture(autouse=True)
def pages():
    if not platforms.CACHE.exists():
        pytest.skip("what the registry says is not here: run .venv/bin/python scripts/platforms.py")


def test_every_lock_resolves_on_every_platform():
    assert not platforms.faults("--offline")


def test_a_lock_without_a_file_for_windows_is_refused_there_alone():
    assert "no wheels with a matching platform tag" in platforms.resolve(
        platforms.control(), WINDOWS, "3.12", "--offline"
    )
    assert not platforms.resolve(platforms.control(), platforms.LEARNERS[0], "3.12", "--offline")


@pytest.mark.parametrize("name", platforms.SDISTS)
def test_what_is_built_on_the_spot_could_not_be_had_otherwise(name):
    line = next(line.split()[0] for line in LEARNERS.splitlines() if line.startswith(name + "=="))
    assert "no usable wheels" in platforms.resolve(line, WINDOWS, "3.12", "--offline", sdists=())
    assert not platforms.resolve(line, WINDOWS, "3.12", "--offline")

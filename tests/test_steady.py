"""One run of several that differs is a failure, and no busy process outlives the runs."""

import psutil
import pytest
import steady
from conftest import LABS


def test_busy_processes_end_with_the_block():
    before = set(psutil.Process().children())
    with steady.busy(2):
        started = set(psutil.Process().children()) - before
        assert len(started) == 2
    assert not any(process.is_running() for process in started)


@pytest.mark.parametrize(("difference", "code"), [("", 0), ("-  True\n+  False", 1)])
def test_one_difference_in_three_runs_is_a_failure(monkeypatch, capsys, difference, code):
    said = iter(["", difference, ""])
    monkeypatch.setattr(steady, "run", lambda lab: (1.0, next(said)))
    monkeypatch.setattr("sys.argv", ["steady", LABS[0].stem, "--times", "3", "--busy", "0"])
    with pytest.raises(SystemExit) as ended:
        steady.main()
    assert ended.value.code == code
    assert difference in capsys.readouterr().out

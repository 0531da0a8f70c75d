"""One price list, one cut-off that follows from it, one rule for everybody."""

import ast
import re

import nbformat
import numpy as np
import pytest
from conftest import LABS, ROOT

from tally.decision import BLIND_LIMIT, CUTOFF, LIMIT, approves, fallback
from tally.decision_log import Decision
from tally.prices import expected, outcome


def test_an_approval_brings_what_one_reckons_by_hand():
    assert outcome(200, True) == pytest.approx(20) and outcome(200, False) == pytest.approx(-80)
    baskets, repaid = np.array([200.0, 50.0]), np.array([True, False])
    assert outcome(baskets, repaid) == pytest.approx([20, -20])
    assert expected(baskets, repaid * 1.0) == pytest.approx(outcome(baskets, repaid))


def test_at_the_cutoff_an_approval_neither_earns_nor_loses():
    assert CUTOFF == 0.8
    assert expected(100, CUTOFF) == pytest.approx(0, abs=1e-12)
    assert expected(100, CUTOFF - 0.01) < 0 < expected(100, CUTOFF + 0.01)


def test_the_cutoff_itself_is_approved():
    assert approves(CUTOFF) and not approves(np.nextafter(CUTOFF, 0))
    assert approves(np.array([0.79, 0.8, 0.81])).tolist() == [False, True, True]


@pytest.mark.parametrize(("outcome", "right"), [("approved", True), ("declined", False)])
def test_the_log_takes_the_cutoff_itself_as_approved(outcome, right):
    shop = {
        "application_id": 1,
        "at": "2025-03-24T12:00:00+00:00",
        "channel": "web",
        "merchant_category": "toys",
    }
    known = {
        "model": "9b74c9897bac",
        "features_at": "2025-03-24T03:10:00+00:00",
        "reason": None,
        "seconds": 0.01,
    }
    decided = {"source": "model", "outcome": outcome, "score": CUTOFF, "cutoff": CUTOFF}
    if right:
        assert Decision(**shop, **known, **decided).outcome == "approved"
    else:
        with pytest.raises(ValueError, match="not what score and cut-off say"):
            Decision(**shop, **known, **decided)


@pytest.mark.parametrize(
    ("basket", "late", "approved"),
    [
        (LIMIT, 0, True),
        (LIMIT + 1, 0, False),
        (20, 1, False),
        (BLIND_LIMIT, None, True),
        (BLIND_LIMIT + 1, None, False),
    ],
)
def test_the_fallback_asks_for_the_basket_and_for_what_it_knows(basket, late, approved):
    assert fallback(basket, late) == approved


def sources():
    """(name, code) of each program and lab."""
    for path in [*ROOT.glob("chapters/artefacts/*.py"), *ROOT.glob("tally/*.py")]:
        yield path.name, path.read_text()
    for lab in LABS:
        for cell in nbformat.read(lab, 4).cells:
            if cell.cell_type == "code" and not cell.source.startswith("%%"):
                yield lab.stem, cell.source


def second_lists(code):
    """Where the prices are typed as a pair, a score is compared with a typed 0.8, or one of Tally's names gets a number."""
    for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", code, flags=re.M))):
        match node:
            case ast.Assign():
                found = re.match(r"(EARNED|LOST|RELEASE|CUTOFF)\b[ ,\w()]* = [\d.(]", ast.unparse(node))
            case ast.Call():
                found = re.search(r", (0\.10?|10), -(0\.40?|40)\)$", ast.unparse(node))
            case ast.Compare(comparators=[ast.Constant(value=0.8)]):
                found = True
            case _:
                found = False
        if found:
            yield ast.unparse(node)


THE_LIST = ("prices.py", "decision.py")
# a draw, a share of trials, an AUC, a tolerance: not a score
NO_SCORE = ("random(", "noticed.mean(", "of the known rows", "error_by_day(", "calmed[")


def test_there_is_no_second_price_list():
    found = [
        (name, typed) for name, code in sources() if name not in THE_LIST for typed in second_lists(code)
    ]
    assert not [(name, typed) for name, typed in found if not any(one in typed for one in NO_SCORE)]


def test_a_second_list_would_be_found():
    for code in (
        "EARNED, LOST = (0.25, 0.75)",
        "yes = score >= 0.8",
        "np.where(y, 0.1, -0.4)",
        "CUTOFF = 0.8",
    ):
        assert list(second_lists(code)), code

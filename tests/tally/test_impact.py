"""An assessment is refused when a part is missing, says nothing or isn't connected with the others."""

import copy

import pytest

from tally.impact import Assessment, disagreements

GOOD = {
    "release": 64 * "a",
    "process": "The checkout asks the model before a basket may be paid later.",
    "use": {"first_use": "2025-04-01", "until": "2026-03-31", "decisions_a_day": 109.4},
    "groups": {"18-25": 900, "61+": 300},
    "risks": [
        {
            "harm": "Somebody who would repay is declined at the till.",
            "groups": ["18-25", "61+"],
            "figure": "good_declined",
            "share": 0.14,
            "low": 0.12,
            "high": 0.16,
            "persons": 1200,
        }
    ],
    "oversight": [
        {
            "person": "Vera",
            "may": "overrule a decision and stop the model",
            "checked_by": "ten declines a week, read again by her",
        }
    ],
    "measures": [
        {
            "against": "good_declined",
            "does": "A person decides again with the shopper's answer.",
            "owner": "Vera",
            "complaint": "by letter or in the app, without a form",
            "days": 14,
        }
    ],
    "signed_by": "Vera",
    "signed_on": "2025-03-24",
}


def changed(path, value):
    record = copy.deepcopy(GOOD)
    *way, last = path
    place = record
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return record


def test_a_whole_assessment_is_taken():
    assessment = Assessment.model_validate(GOOD)
    assert disagreements(assessment, {"good_declined": 0.1402}) == []
    assert disagreements(assessment, {"good_declined": 0.15}) == ["good_declined"]
    assert disagreements(assessment, {}) == ["good_declined"]


@pytest.mark.parametrize("part", GOOD)
def test_no_part_may_be_missing(part):
    with pytest.raises(ValueError, match="Field required"):
        Assessment.model_validate(changed([part], None))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["process"], "TBD, the product team will write this", "says nothing"),
        (["risks"], [], "at least 1 item"),
        (["risks", 0, "groups"], ["18-25"], "no risk says what may happen to"),
        (["risks", 0, "groups"], ["18-25", "61+", "men"], "doesn't name"),
        (["risks", 0, "low"], 0.15, "an interval"),
        (["risks", 0, "low"], None, "Field required"),
        (["oversight", 0, "person"], "", "at least 2"),
        (["measures", 0, "against"], "something else", "no measure against"),
        (["measures", 0, "days"], 90, "less than or equal to 30"),
        (["signed_on"], "2025-04-02", "asked for before"),
        (["use", "until"], "2025-04-01", "ends after it begins"),
        (["release"], "champion", "should match"),
        (["colour"], "green", "Extra inputs"),
    ],
)
def test_what_is_refused(path, value, said):
    with pytest.raises(ValueError, match=said):
        Assessment.model_validate(changed(path, value))

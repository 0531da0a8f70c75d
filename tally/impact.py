"""An assessment of fundamental-rights impact, as a record: the six parts that Article 27(1) of the AI Act asks for.

A part that is missing, empty or not connected with the others is refused. Whether a part is true, a person says;
`disagreements` only compares its figures with those of a run.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

NOTHING = ("todo", "tbd", "tba", "n/a", "none", "to be", "see above", "lorem", "...")


def said(text: str) -> str:
    """Refuse what fills a form and says nothing."""
    if len(text.split()) < 4 or text.strip().lower().startswith(NOTHING):
        raise ValueError("says nothing: a sentence is wanted")
    return text


Sentence = Annotated[str, AfterValidator(said)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Use(Part):
    """(b) For how long, and how often."""

    first_use: date
    until: date
    decisions_a_day: float = Field(gt=0)


class Risk(Part):
    """(d) A harm to some of the groups, with what was measured of it."""

    harm: Sentence
    groups: list[str] = Field(min_length=1)
    figure: str  # the name of the figure in the run
    share: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)  # limits of a 95 % interval
    high: float = Field(ge=0, le=1)
    persons: int = Field(ge=1)  # how many it was measured on

    @model_validator(mode="after")
    def interval(self):
        if not self.low <= self.share <= self.high or self.low == self.high:
            raise ValueError("an interval that holds the share is wanted")
        return self


class Oversight(Part):
    """(e) Who watches, who may stop it, and whether that happens."""

    person: str = Field(min_length=2)
    may: Sentence
    checked_by: Sentence


class Measure(Part):
    """(f) What is done when a harm comes about, and where to complain."""

    against: str  # the `figure` of a risk
    does: Sentence
    owner: str = Field(min_length=2)
    complaint: Sentence
    days: int = Field(ge=1, le=30)  # until the complaint is answered


class Assessment(Part):
    """All six parts, who signed them, and the release that they are about."""

    release: str = Field(pattern="^[0-9a-f]{64}$")
    process: Sentence  # (a) in which process, with the intended purpose
    use: Use
    groups: dict[str, int] = Field(min_length=1)  # (c) who is affected: name, persons
    risks: list[Risk] = Field(min_length=1)
    oversight: list[Oversight] = Field(min_length=1)
    measures: list[Measure] = Field(min_length=1)
    signed_by: str = Field(min_length=2)
    signed_on: date

    @model_validator(mode="after")
    def connected(self):
        named = {group for risk in self.risks for group in risk.groups}
        if strangers := named - set(self.groups):
            raise ValueError(f"a risk for groups that part (c) doesn't name: {sorted(strangers)}")
        if forgotten := set(self.groups) - named:
            raise ValueError(f"no risk says what may happen to: {sorted(forgotten)}")
        if open_ := {risk.figure for risk in self.risks} - {measure.against for measure in self.measures}:
            raise ValueError(f"no measure against: {sorted(open_)}")
        if self.signed_on > self.use.first_use:
            raise ValueError("signed after the first use: it is asked for before")
        if self.use.until <= self.use.first_use:
            raise ValueError("a period ends after it begins")
        return self


def disagreements(assessment: Assessment, run: Mapping[str, float]) -> list[str]:
    """The figures of the assessment that the run does not have, or has otherwise (to three places)."""
    return [
        risk.figure
        for risk in assessment.risks
        if risk.figure not in run or round(run[risk.figure], 3) != round(risk.share, 3)
    ]

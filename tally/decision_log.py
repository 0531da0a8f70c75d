"""One decision, one line: counted by metrics, read in incidents, quoted in letters."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

from tally.decision import approves

Channel = Literal["app", "till", "web"]
Goods = Literal["electronics", "fashion", "home", "sport", "toys", "travel"]
Source = Literal["model", "fallback"]
Outcome = Literal["approved", "declined"]
Reason = Literal["no history", "no model", "full", "too late", "failed"]  # why the fallback was asked
CHANNELS, GOODS, REASONS = get_args(Channel), get_args(Goods), get_args(Reason)


@dataclass(frozen=True)
class Decision:
    """What was decided, by whom, on what, how fast; no name and no income.

    Raises ValueError if it contradicts itself.
    """

    application_id: int  # the key to everything personal, which stays in its own store
    at: str  # ISO 8601 in UTC, with its offset
    channel: Channel
    merchant_category: Goods
    source: Source
    outcome: Outcome
    model: str  # the version of the release, also when it was not asked
    score: float | None  # probability of repayment; None if the model was not asked
    cutoff: float | None  # approved from this score on
    features_at: str | None  # ISO 8601: when what it knew of the customer was computed
    reason: Reason | None  # never an exception's text, which may quote the customer
    seconds: float  # from request to answer

    def __post_init__(self):
        if self.channel not in CHANNELS or self.merchant_category not in GOODS:
            raise ValueError(f"shop unknown: {self.channel}, {self.merchant_category}")
        if self.source not in get_args(Source) or self.outcome not in get_args(Outcome):
            raise ValueError(f"source or outcome unknown: {self.source}, {self.outcome}")
        if self.source == "fallback" and (self.score is not None or self.reason not in REASONS):
            raise ValueError("a fallback has no score, and says why it was asked")
        if self.source == "model" and (None in (self.score, self.cutoff, self.features_at) or self.reason):
            raise ValueError("a model's decision has a score, a cut-off and the age of its features")
        if self.source == "model" and approves(self.score, self.cutoff) != (self.outcome == "approved"):
            raise ValueError("the outcome is not what score and cut-off say")


def line(decision: Decision) -> str:
    """The decision as one line of JSON, without a line feed."""
    return json.dumps(asdict(decision), separators=(",", ":"), allow_nan=False)


def read(lines: Iterable[str]) -> Iterator[Decision]:
    """The decisions of a log. Raises ValueError with the number of the first line that
    is not one."""
    names = {field.name for field in fields(Decision)}
    for number, text in enumerate(lines, start=1):
        try:
            found = json.loads(text)
            if set(found) != names:
                raise ValueError(f"fields missing or unknown: {', '.join(sorted(set(found) ^ names))}")
            yield Decision(**found)
        except (ValueError, TypeError) as fault:
            raise ValueError(f"line {number}: {fault}") from None

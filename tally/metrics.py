"""The instruments of Tally's decision service, as Prometheus reads them from /metrics."""

from datetime import datetime
from itertools import product
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tally.decision_log import CHANNELS, GOODS, Decision, Outcome, Source

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3)  # seconds; the till gives up after 3


class Instruments:
    """What the service counts. Give each process one registry of its own."""

    def __init__(self, registry: CollectorRegistry):
        self.decisions = Counter(
            "tally_decisions",  # exposed as tally_decisions_total
            "Decisions, by who decided and what",
            ("channel", "merchant_category", "source", "outcome"),
            registry=registry,
        )
        for labels in product(CHANNELS, GOODS, get_args(Source), get_args(Outcome)):
            self.decisions.labels(*labels)  # a zero, so that the first fallback is an increase
        self.seconds = Histogram(
            "tally_decision_seconds",
            "From request to answer",
            ("source",),  # a fallback is quick: together they would flatter each other
            buckets=BUCKETS,
            registry=registry,
        )
        self.trained = Gauge(
            "tally_model_trained_timestamp_seconds",
            "When the model of this release was trained",
            registry=registry,
        )
        self.features = Gauge(
            "tally_features_timestamp_seconds",
            "When the features of the last model decision were computed, 0 before the first",
            registry=registry,
        )

    def released(self, trained_at: datetime) -> None:
        """Say when the model of this release was trained."""
        self.trained.set(trained_at.timestamp())

    def count(self, decision: Decision) -> None:
        """Count one decision."""
        self.decisions.labels(
            decision.channel, decision.merchant_category, decision.source, decision.outcome
        ).inc()
        self.seconds.labels(decision.source).observe(decision.seconds)
        if decision.features_at is not None:
            self.features.set(datetime.fromisoformat(decision.features_at).timestamp())

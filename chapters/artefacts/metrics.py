"""The instruments of Tally's decision service, as Prometheus reads them from /metrics."""

from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CHANNELS = ("app", "till", "web")
GOODS = ("electronics", "fashion", "home", "sport", "toys", "travel")
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
        for labels in product(CHANNELS, GOODS, ("model", "fallback"), ("approved", "declined")):
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
            "When the serving model was trained",
            registry=registry,
        )
        self.features = Gauge(
            "tally_features_timestamp_seconds",
            "When the features of the last model decision were computed",
            registry=registry,
        )

    def count(self, decision, features_at=None):
        """Count a `decision_log.Decision`; `features_at` in seconds since 1970. An
        unknown shop is an error."""
        if decision.channel not in CHANNELS or decision.merchant_category not in GOODS:
            raise ValueError(f"no series for {decision.channel}, {decision.merchant_category}: add it first")
        self.decisions.labels(
            decision.channel, decision.merchant_category, decision.source, decision.outcome
        ).inc()
        self.seconds.labels(decision.source).observe(decision.seconds)
        if features_at is not None:
            self.features.set(features_at)

"""Where the time of one decision goes, as OpenTelemetry spans.

Without TRACES in the environment nothing is recorded and OpenTelemetry need not be installed. With it, each span
that ends becomes one line of JSON in the file that TRACES names. In production a collector would be told instead;
the spans are the same.
"""

import os
from contextlib import nullcontext
from pathlib import Path

try:
    from opentelemetry import trace
except ImportError:
    trace = None


def span(name: str):
    """A context: what happens in it is the span `name`, a child of the span around it, if anybody records."""
    return trace.get_tracer("tally").start_as_current_span(name) if trace else nullcontext()


def record(app) -> None:
    """Record a span for each request to `app` (FastAPI), and continue the trace of whoever asks, if TRACES is set.

    The probes and /metrics are left out: they are most of the requests and nobody waits for them.
    """
    if not (path := os.environ.get("TRACES")):
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    exporter = ConsoleSpanExporter(
        out=Path(path).open("a", encoding="utf-8"),
        formatter=lambda ended: ended.to_json(indent=None) + "\n",
    )
    provider = TracerProvider(resource=Resource({"service.name": "decide"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls="health,metrics", exclude_spans=["receive", "send"]
    )
    trace.set_tracer_provider(provider)

"""Tally's decision service: the model decides, or in time and marked as such, the fallback.

The environment names the release, so that its parts go forward and back together:
MODEL_PATH, a file written by skops; MODEL_SHA256, the digest that the registry recorded;
MODEL_TRAINED_AT, the day in ISO 8601 with its offset; CUTOFF, the least probability of
repayment that is approved.

Standard output is the decision log, one line for each decision; /metrics counts the same
decisions for Prometheus.
"""

import asyncio
import hashlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore

import pandas as pd
import skops.io
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tally.decision import approves, fallback
from tally.decision_log import Channel, Decision, Goods, Outcome, Reason, Source, line
from tally.limits import protect
from tally.metrics import Instruments
from tally.tracing import record, span

TRUSTED = {"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}  # read by Ines
BUDGET = 1.0  # seconds: the till gives up after 3, and two are for its network
PLACES = 5  # one application in the model, four waiting: more could not be answered within BUDGET
log = logging.getLogger("uvicorn.error")


class History(BaseModel):
    """What the feature store knows of the customer. The gateway reads it; this service calls nobody."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    computed_at: AwareDatetime
    tenure_days: float = Field(ge=0, le=5_000)
    purchases_180d: float = Field(ge=0, le=500)
    late_180d: float = Field(ge=0, le=500)
    open_balance: float = Field(ge=0, le=50_000, description="euros")
    utilisation: float = Field(ge=0, le=1)


class Application(BaseModel):
    """One basket, to be paid later or not."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    application_id: int
    channel: Channel
    merchant_category: Goods
    basket: float = Field(ge=1, le=5_000, description="euros")
    income: float = Field(ge=0, le=1_000_000, description="euros a year")
    history: History | None = Field(description="null if the feature store could not be read")

    def row(self) -> pd.DataFrame:
        """What the model reads, as one row."""
        known = self.history.model_dump(exclude={"computed_at"})
        return pd.DataFrame([{"basket": self.basket, "income": self.income} | known])


class Answer(BaseModel):
    """The part of the decision's log line that the shop is told."""

    outcome: Outcome
    source: Source
    reason: Reason | None = Field(description="why the fallback decided")
    model: str = Field(description="the release: the first twelve digits of its model's digest")
    score: float | None = Field(description="probability of repayment, if the model decided")


def load(path: str, sha256: str):
    """The model in the skops file `path`. Raises ValueError if it is not the one, or not
    harmless."""
    content = Path(path).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path}: digest {found}, the release says {sha256}")
    if strangers := set(skops.io.get_untrusted_types(data=content)) - TRUSTED:
        raise ValueError(f"{path}: types that nobody has read: {sorted(strangers)}")
    return skops.io.loads(content, trusted=sorted(TRUSTED))


@asynccontextmanager
async def lifespan(app):
    """Load in the background, so that the probes are answered meanwhile."""
    app.state.registry = CollectorRegistry()
    app.state.instruments = Instruments(app.state.registry)
    app.state.instruments.released(datetime.fromisoformat(os.environ["MODEL_TRAINED_AT"]))
    app.state.pool = ThreadPoolExecutor(max_workers=1)  # one core, as deployment.yaml grants
    app.state.places = BoundedSemaphore(PLACES)
    app.state.sha256 = os.environ["MODEL_SHA256"]
    app.state.cutoff = float(os.environ["CUTOFF"])
    app.state.loading = app.state.pool.submit(load, os.environ["MODEL_PATH"], app.state.sha256)
    app.state.loading.add_done_callback(tell)
    yield
    app.state.pool.shutdown(wait=False, cancel_futures=True)


def tell(loading):
    """Log why there is no model, if there is none."""
    if not loading.cancelled() and (error := loading.exception()):
        log.error("no model: %s", error)


app = protect(FastAPI(title="Tally decides", lifespan=lifespan))
record(app)


@app.get("/health/live")
def live():
    """The process can answer. If not, it is restarted; so this asks only what a restart can heal."""
    return {"live": True}


def ready() -> bool:
    """This replica has loaded its model, so it may get shoppers.

    It asks neither the feature store nor the queue. All replicas share the load, so all would leave at
    once, and shoppers whom the fallback can serve would get nothing.
    """
    loading = app.state.loading
    return loading.done() and not loading.cancelled() and loading.exception() is None


@app.get("/health/ready")
def health_ready(response: Response):
    response.status_code = 200 if ready() else 503
    return {"ready": ready()}


@app.get("/metrics")
def metrics():
    return Response(generate_latest(app.state.registry), media_type=CONTENT_TYPE_LATEST)


@app.post("/decide")
async def decide(application: Application) -> Answer:
    begun, history = time.perf_counter(), application.history
    score, reason = await ask_model(application)
    if reason is None:
        approved = approves(score, app.state.cutoff)
    else:
        approved = fallback(application.basket, history.late_180d if history else None)
    decision = Decision(
        application_id=application.application_id,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        channel=application.channel,
        merchant_category=application.merchant_category,
        source="fallback" if reason else "model",
        outcome="approved" if approved else "declined",
        model=app.state.sha256[:12],
        score=score,
        cutoff=None if reason else app.state.cutoff,
        features_at=None if reason else history.computed_at.isoformat(),
        reason=reason,
        seconds=round(time.perf_counter() - begun, 6),
    )
    app.state.instruments.count(decision)
    print(line(decision), flush=True)
    return Answer.model_validate(decision, from_attributes=True)


async def ask_model(application: Application) -> tuple[float | None, str | None]:
    """(score, None) by the model within BUDGET seconds, or (None, the reason why not)."""
    if application.history is None:
        return None, "no history"
    if not ready():
        return None, "no model"
    if not app.state.places.acquire(blocking=False):
        return None, "full"  # at once: a queue that cannot be served helps nobody
    with span("ask the model"):  # its beginning without "predict" is the queue
        job = app.state.pool.submit(copy_context().run, predict, application.row())
        job.add_done_callback(lambda _: app.state.places.release())
        try:  # what still waits in the queue when the time is up is cancelled, and costs nothing
            ((_, repaid),) = await asyncio.wait_for(asyncio.wrap_future(job), BUDGET)
        except TimeoutError:
            return None, "too late"
        except Exception:
            log.exception("the model failed")
            return None, "failed"
        return float(repaid), None


def predict(row: pd.DataFrame):
    """What the model says of one row, in the pool's thread."""
    with span("predict"):
        return app.state.loading.result().predict_proba(row)

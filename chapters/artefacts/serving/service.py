"""Tally's decision service: the model decides, or in time and marked as such, a rule.

The environment names the release, so that model and cut-off go forward and back together:
MODEL_PATH, a file written by skops; MODEL_SHA256, the digest that the registry recorded;
CUTOFF, the least probability of repayment that is approved.
"""

import asyncio
import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import BoundedSemaphore

import pandas as pd
import skops.io
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

TRUSTED = {"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}  # read by Ines
BUDGET = 1.0  # seconds: the till gives up after 3, and two are for its network
PLACES = 5  # one application in the model, four waiting: more could not be answered within BUDGET
RULE_LIMIT = 500  # euros; the owner of losses signed it, shortcuts.py has the price
log = logging.getLogger("uvicorn.error")


class Application(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    basket: float = Field(gt=0, le=5_000, description="euros")
    income: float = Field(ge=0, le=1_000_000, description="euros a year")
    tenure_days: float = Field(ge=0, le=5_000)
    purchases_180d: float = Field(ge=0, le=500)
    late_180d: float = Field(ge=0, le=500)
    open_balance: float = Field(ge=0, le=50_000, description="euros")
    utilisation: float = Field(ge=0, le=1)


class Decision(BaseModel):
    approved: bool
    decided_by: str = Field(description="`model`, or `rule` with the reason in `because`")
    because: str | None = None
    model: str | None = Field(description="the first twelve digits of the digest it was checked against")


def load(path, sha256):
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
    app.state.pool = ThreadPoolExecutor(max_workers=1)  # one core, as deployment.yaml grants
    app.state.places = BoundedSemaphore(PLACES)
    app.state.sha256 = os.environ["MODEL_SHA256"]
    app.state.cutoff = float(os.environ["CUTOFF"])
    app.state.loading = app.state.pool.submit(load, os.environ["MODEL_PATH"], app.state.sha256)
    app.state.loading.add_done_callback(tell)
    yield
    app.state.pool.shutdown(wait=False, cancel_futures=True)


def tell(loading):
    if not loading.cancelled() and (error := loading.exception()):
        log.error("no model: %s", error)


app = FastAPI(title="Tally decides", lifespan=lifespan)


def ready():
    loading = app.state.loading
    return loading.done() and not loading.cancelled() and loading.exception() is None


@app.get("/health/live")
def live():
    return {"live": True}


@app.get("/health/ready")
def health_ready(response: Response):
    response.status_code = 200 if ready() else 503
    return {"ready": ready()}


@app.post("/decide")
async def decide(application: Application) -> Decision:
    if not ready():
        return by_rule(application, "no model")
    if not app.state.places.acquire(blocking=False):
        return by_rule(application, "full")  # at once: a queue that cannot be served helps nobody
    row = pd.DataFrame([application.model_dump()])
    job = app.state.pool.submit(app.state.loading.result().predict_proba, row)
    job.add_done_callback(lambda _: app.state.places.release())
    try:  # what still waits in the queue when the time is up is cancelled, and costs nothing
        ((_, repaid),) = await asyncio.wait_for(asyncio.wrap_future(job), BUDGET)
    except TimeoutError:
        return by_rule(application, "too late")
    except Exception:
        log.exception("the model failed")
        return by_rule(application, "failed")
    return Decision(approved=repaid >= app.state.cutoff, decided_by="model", model=app.state.sha256[:12])


def by_rule(application, because):
    approved = application.basket <= RULE_LIMIT and application.late_180d == 0
    return Decision(approved=approved, decided_by="rule", because=because, model=None)

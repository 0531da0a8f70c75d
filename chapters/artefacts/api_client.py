"""Ask for a credit decision over a network that loses messages, without deciding twice.

`decide` is the till's side. `lender` is the smallest service that keeps the other half of
the promise, after draft-ietf-httpapi-idempotency-key-header-07 of the IETF. Prints what
becomes of 1,000 of Tally's purchases when a reply is now and then lost, with the key and
without it.
"""

import asyncio
import json
import random
import time
from pathlib import Path

import httpx
import pandas as pd
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

# may succeed later, unchanged, which a 400 or a 422 will not; 409: the first attempt is still at work
WORTH_REPEATING = {409, 429, 502, 503, 504}


class Undecided(Exception):
    """No answer within the time there is: the till falls back on its rule."""


def decide(
    client,
    application,
    key,
    budget=3.0,
    pause=0.1,
    sleep=time.sleep,
    now=time.monotonic,
):
    """The service's answer (dict) to `application` (dict), within `budget` seconds.

    The key is made once for a purchase and stored with it, so that a till that restarts
    asks with the same one. Between attempts it waits a random part of a pause (seconds)
    that doubles. Raises Undecided when time is up, and httpx.HTTPStatusError at once for
    what no repetition cures.
    """
    headers = {"Idempotency-Key": key} if key else {}
    until, why = now() + budget, "no time"
    while (left := until - now()) > 0:
        try:  # httpx counts the timeout anew while connecting, sending and reading
            reply = client.post("/decisions", json=application, headers=headers, timeout=left)
        except httpx.TransportError as error:
            why = f"{type(error).__name__}: {error}"
        else:
            if reply.status_code not in WORTH_REPEATING:
                return reply.raise_for_status().json()
            why = f"status {reply.status_code}"
        sleep(min(random.uniform(0, pause), max(0, until - now())))
        pause *= 2
    raise Undecided(why)


class Application(BaseModel):
    customer: int
    basket: float


def lender(limit=500):
    """A service that approves while a customer owes no more than `limit` euros.

    What it booked is in `state.entries`: (customer, euros), in order.
    """
    app = FastAPI()
    app.state.entries, owed, answered = [], {}, {}

    @app.post("/decisions")
    async def post(application: Application, idempotency_key: str | None = Header(None)):
        if idempotency_key in answered:
            asked, answer = answered[idempotency_key]
            if asked != application:
                raise HTTPException(422, "this key belongs to another application")
            return answer
        owes = owed.get(application.customer, 0) + application.basket
        answer = {"approved": owes <= limit}
        if answer["approved"]:
            owed[application.customer] = owes
            app.state.entries.append((application.customer, application.basket))
        # in life in one transaction with the entry, and kept longer than anybody asks again
        if idempotency_key:
            answered[idempotency_key] = application, answer
        return answer

    return app


class Lossy(httpx.BaseTransport):
    """A network to `app` that loses a share of the requests, and a share of the replies."""

    def __init__(self, app, seed, requests=0.01, replies=0.02):
        self.inside, self.lot = httpx.ASGITransport(app), random.Random(seed)
        self.requests, self.replies = requests, replies
        self.loop = asyncio.new_event_loop()

    async def ask(self, request):
        inside = await self.inside.handle_async_request(request)
        return httpx.Response(inside.status_code, content=await inside.aread())

    def handle_request(self, request):
        if self.lot.random() < self.requests:
            raise httpx.ConnectTimeout("the request was lost")
        answer = self.loop.run_until_complete(self.ask(request))
        if self.lot.random() < self.replies:
            raise httpx.ReadTimeout("the reply was lost")
        return answer

    def close(self):
        self.loop.close()


def booked(purchases, with_key):
    """What the lender booked, and what shoppers were told, over a line that loses
    messages."""
    app, entries, told = lender(), [], []
    with httpx.Client(transport=Lossy(app, seed=7), base_url="http://lender") as client:
        for number, purchase in enumerate(purchases):
            before = len(app.state.entries)
            key = f"purchase-{number}" if with_key else None
            told.append(decide(client, purchase, key, sleep=lambda _: None)["approved"])
            entries.append(len(app.state.entries) - before)
    return {
        "booked_twice": sum(times > 1 for times in entries),
        "euros_too_many": sum(
            (times - 1) * one["basket"] for times, one in zip(entries, purchases, strict=True) if times > 1
        ),
        "booked_and_told_no": sum(times > 0 and not yes for times, yes in zip(entries, told, strict=True)),
        "told_yes": sum(told),
    }


def figures(applications, number=1000):
    some = applications[:number]
    purchases = [
        {"customer": int(customer), "basket": float(basket)}
        for customer, basket in zip(some.customer_id, some.basket, strict=True)
    ]
    without, with_key = booked(purchases, with_key=False), booked(purchases, with_key=True)
    return {
        "purchases": number,
        **{f"{what}_without": value for what, value in without.items()},
        **{f"{what}_with": value for what, value in with_key.items()},
    }


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(pd.read_parquet(data))))

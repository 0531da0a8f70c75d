"""Ask for a credit decision over a network that loses messages, without deciding twice.

`decide` is the till's side. `lender` is the smallest service that keeps the other half of
the promise, after draft-ietf-httpapi-idempotency-key-header-07 of the IETF. Prints what
becomes of 1,000 of Tally's purchases when a reply is now and then lost, with the key and
without it, over five simulated lines. What a real line does with time, the tests ask.
"""

import asyncio
import json
import random
from pathlib import Path

import httpx
import pandas as pd
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

# may succeed later, unchanged, which a 400 or a 422 will not; 409: the first attempt is still at work
WORTH_REPEATING = {409, 429, 502, 503, 504}


class Undecided(Exception):
    """No answer within the time there is: the till falls back on its rule."""


async def decide(client, application, key, budget=3.0, attempt=1.0, pause=0.1, sleep=asyncio.sleep):
    """The service's answer (dict) to `application` (dict), within `budget` seconds.

    The key is made once for a purchase and stored with it, so that a till that restarts
    asks with the same one. An attempt that has no whole answer after `attempt` seconds is
    given up, so that there is time for another. Between attempts it waits a random part of a
    pause (seconds) that doubles. Raises Undecided when time is up, and
    httpx.HTTPStatusError at once for what no repetition cures.
    """
    headers, why = {"Idempotency-Key": key} if key else {}, "no time"
    try:
        async with asyncio.timeout(budget):  # of the clock; httpx's own begins anew with each byte read
            while True:
                try:
                    async with asyncio.timeout(attempt):
                        reply = await client.post(
                            "/decisions", json=application, headers=headers, timeout=None
                        )
                except TimeoutError:
                    why = f"no whole answer within {attempt} s"
                except httpx.TransportError as error:
                    why = f"{type(error).__name__}: {error}"
                else:
                    if reply.status_code not in WORTH_REPEATING:
                        return reply.raise_for_status().json()
                    why = f"status {reply.status_code}"
                await sleep(random.uniform(0, pause))
                pause *= 2
    except TimeoutError:
        raise Undecided(why) from None


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


class Lossy(httpx.AsyncBaseTransport):
    """A network to `app` that loses a share of the requests, and a share of the replies. The
    client hears of a loss at once, so that a thousand purchases take seconds."""

    def __init__(self, app, seed, requests=0.01, replies=0.02):
        self.inside, self.lot = httpx.ASGITransport(app), random.Random(seed)
        self.requests, self.replies = requests, replies

    async def handle_async_request(self, request):
        if self.lot.random() < self.requests:
            raise httpx.ConnectTimeout("the request was lost")
        answer = await self.inside.handle_async_request(request)
        if self.lot.random() < self.replies:
            raise httpx.ReadTimeout("the reply was lost")
        return answer


async def at_once(_):
    """In place of a pause."""


async def booked(purchases, with_key, seed=7):
    """What the lender booked, and what shoppers were told, over a line that loses
    messages."""
    app, entries, told = lender(), [], []
    async with httpx.AsyncClient(transport=Lossy(app, seed), base_url="http://lender") as client:
        for number, purchase in enumerate(purchases):
            before = len(app.state.entries)
            key = f"purchase-{number}" if with_key else None
            told.append((await decide(client, purchase, key, sleep=at_once))["approved"])
            entries.append(len(app.state.entries) - before)
    return {
        "booked_twice": sum(times > 1 for times in entries),
        "euros_too_many": sum(
            (times - 1) * one["basket"] for times, one in zip(entries, purchases, strict=True) if times > 1
        ),
        "booked_and_told_no": sum(times > 0 and not yes for times, yes in zip(entries, told, strict=True)),
        "told_yes": sum(told),
    }


def figures(applications, number=1000, lines=range(5)):
    """The least and the most over several lines, which lose other messages at the same rates."""
    some = applications[:number]
    purchases = [
        {"customer": int(customer), "basket": float(basket)}
        for customer, basket in zip(some.customer_id, some.basket, strict=True)
    ]
    found = {"purchases": number, "lines": len(lines)}
    for name, with_key in {"without": False, "with": True}.items():
        runs = [asyncio.run(booked(purchases, with_key, seed)) for seed in lines]
        for what in runs[0]:
            counts = [run[what] for run in runs]
            found |= {f"{what}_{name}_least": min(counts), f"{what}_{name}_most": max(counts)}
    return found


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(pd.read_parquet(data))))

"""The till's side of a decision: one key for a purchase, a deadline for all its attempts, a budget for retries.

The service's side of the promise is a key that it keeps with its answer (the draft of the IETF
draft-ietf-httpapi-idempotency-key-header-07), and writes in one transaction with the loan.
"""

import asyncio
import random

import httpx

# may succeed later, unchanged, which a 400 or a 422 will not; 409: the first attempt is still at work
WORTH_REPEATING = {409, 429, 502, 503, 504}
LONGEST_PAUSE = 0.8  # seconds


class Undecided(Exception):
    """No answer within the time or the budget there is: the till falls back on its rule."""


class RetryBudget:
    """How many retries a till has left: each first attempt pays `percent` of one in, at most `most` are kept.

    It begins with one retry, so that a till that has just started survives a lost reply.
    """

    def __init__(self, percent: int = 10, most: int = 10):
        self.percent, self.most, self.hundredths = percent, 100 * most, 100

    def pay_in(self) -> None:
        self.hundredths = min(self.most, self.hundredths + self.percent)

    def spend(self) -> bool:
        """Whether there is a retry; if so, it is spent."""
        if self.hundredths < 100:
            return False
        self.hundredths -= 100
        return True


async def decide(
    client: httpx.AsyncClient,
    purchase: dict,
    key: str,
    budget: RetryBudget,
    deadline: float = 3.0,
    attempt: float = 1.0,
    pause: float = 0.1,
) -> dict:
    """The service's answer to `purchase`, within `deadline` seconds.

    The key is made once for a purchase and stored with it, so that a till that restarts asks with
    the same one. An attempt that has no whole answer after `attempt` seconds is given up, so that
    there is time for another. Between attempts it waits a random part of a pause (seconds) that
    doubles up to LONGEST_PAUSE, after the seconds of a Retry-After if there is one. Raises Undecided
    when time or budget are used up or a Retry-After ends after the deadline, and
    httpx.HTTPStatusError at once for what no repetition cures.
    """
    why = "no time"
    budget.pay_in()
    try:
        async with asyncio.timeout(deadline) as end:  # of the clock; httpx's own begins anew with each byte
            while True:
                told = ""
                try:
                    async with asyncio.timeout(attempt):
                        headers = {"Idempotency-Key": key}
                        reply = await client.post("/decisions", json=purchase, headers=headers, timeout=None)
                except TimeoutError:
                    why = f"no whole answer within {attempt} s"
                except httpx.TransportError as error:
                    why = f"{type(error).__name__}: {error}"
                else:
                    if reply.status_code not in WORTH_REPEATING:
                        return reply.raise_for_status().json()
                    why, told = f"status {reply.status_code}", reply.headers.get("Retry-After", "")
                at_least = int(told) if told.isdecimal() else 0  # a date is passed over
                if at_least and asyncio.get_running_loop().time() + at_least > end.when():
                    raise Undecided(f"{why}, and it is too early to ask again before the deadline")
                if not budget.spend():
                    raise Undecided(f"{why}, and no retry is left in the budget")
                await asyncio.sleep(at_least + random.uniform(0, pause))
                pause = min(2 * pause, LONGEST_PAUSE)
    except TimeoutError:
        raise Undecided(why) from None

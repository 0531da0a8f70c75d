"""What a request may cost: on an application with and without the limits."""

import json
import warnings

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from tally.limits import FAULTS, LARGEST, protect

with warnings.catch_warnings():  # it would rather have httpx2
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


class Basket(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    basket: float = Field(ge=1, le=5_000)


def client(limited=True):
    app = FastAPI()

    @app.post("/decide")
    async def decide(basket: Basket):
        return basket.basket

    return TestClient(protect(app) if limited else app, raise_server_exceptions=False)


def ask(limited, body):
    return client(limited).post("/decide", content=body, headers={"content-type": "application/json"})


def padded(size):
    """A good request of exactly `size` bytes."""
    return b'{"basket": 120}'.ljust(size)


def in_pieces(size):
    yield from (padded(size)[i : i + 100] for i in range(0, size, 100))


@pytest.mark.parametrize("limited", [True, False])
def test_an_ordinary_request_is_answered(limited):
    assert ask(limited, padded(300)).json() == 120


def test_the_largest_body_is_read_and_a_byte_more_is_not():
    assert ask(True, padded(LARGEST)).status_code == 200
    assert ask(True, padded(LARGEST + 1)).status_code == 413
    assert ask(False, padded(LARGEST + 1)).status_code == 200, "the limit is what refuses"


def test_a_body_that_announces_no_length_is_counted_as_it_arrives():
    assert ask(True, in_pieces(LARGEST + 1)).status_code == 413
    assert ask(False, in_pieces(LARGEST + 1)).status_code == 200
    assert ask(True, in_pieces(LARGEST)).status_code == 200


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_does_not_know_is_refused_and_not_a_fault_of_the_service(value):
    body = f'{{"basket": {value}}}'
    assert ask(False, body).status_code == 500, "FastAPI alone cannot write it into its answer"
    said = ask(True, body)
    assert said.status_code == 422 and said.json()["detail"][0]["loc"] == ["body", "basket"]


def test_an_answer_holds_no_value_that_was_sent_and_only_so_many_faults():
    many = json.dumps({f"k{n}": "secret" for n in range(200)})
    assert len(many) < LARGEST
    assert ask(False, many).text.count("secret") >= 200
    said = ask(True, many)
    assert said.status_code == 422 and "secret" not in said.text and len(said.json()["detail"]) == FAULTS


def test_lists_within_lists_are_refused():
    """Where Python reads them, as 3.13 does, FastAPI alone could not write them into its answer."""
    half = LARGEST // 2
    assert ask(True, "[" * half + "]" * half).status_code in (400, 422)

"""What a request may cost before anybody has decided anything: `protect(app)`.

Two things that a FastAPI application does not do by itself. It reads a body of any size into memory, and it
answers a malformed one with a copy of what was sent, once for each fault: longer than the request, slow to
write, and impossible where the input holds a NaN, which JSON does not know (the answer is then a 500).
"""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

LARGEST = 4_096  # bytes of a body: ten times an application with its history
FAULTS = 10  # how many faults of one request are told


def protect(app: FastAPI, largest: int = LARGEST) -> FastAPI:
    """Limit the bodies that `app` reads to `largest` bytes, and what it says of a malformed one.

    Call it before the first request. A body that is larger gets 413, counted as it arrives, whatever length
    was announced.
    """
    app.max_body_size = largest
    app.add_exception_handler(RequestValidationError, refuse)
    return app


async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """422 with the place and the kind of the first faults, and nothing of the values that were sent."""
    told = [{name: fault[name] for name in ("type", "loc", "msg")} for fault in error.errors()[:FAULTS]]
    return JSONResponse({"detail": told}, status_code=422)

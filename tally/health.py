"""The third question about a decision service. The first two, alive and ready, are the orchestrator's and
stand in service.py; this one is for people."""

import math
from collections.abc import Callable, Mapping


def deciding(decide: Callable[[Mapping], Mapping], known: Mapping) -> str:
    """Is it deciding well? What is wrong with the answer to an application whose answer is
    known, or "".

    `decide(application)` gives a mapping with `source` and `score`, by the same way as the shops;
    `known` has `application` and the `score` recorded when the model was released.
    """
    try:
        answer = decide(known["application"])
    except Exception as fault:
        return f"no answer: {type(fault).__name__}"
    if answer["source"] != "model":
        return f"decided by the {answer['source']}"
    if not math.isclose(answer["score"], known["score"], abs_tol=1e-6):
        return f"score {answer['score']:.3f}, released with {known['score']:.3f}"
    return ""

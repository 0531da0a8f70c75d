"""Three questions about a decision service. The first two are for the orchestrator, the
third is for people."""

import math


def alive():
    """Liveness: the process can answer. If not, restart it; a restart must be able to
    help."""
    return True


def ready(model):
    """Readiness: this replica has loaded its model, so it may get shoppers.

    It does not ask the feature store. All replicas share that, so all would leave at once,
    and the shoppers whom the fallback can serve would get nothing.
    """
    return model is not None


def deciding(decide, known):
    """Is it deciding well? What is wrong with the answer to an application whose answer is
    known, or "".

    `decide(application)` gives a mapping with `source` and `score`, through the shop's own
    door; `known` has `application` and the `score` recorded when the model was released.
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

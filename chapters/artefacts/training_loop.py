"""A training loop without `fit`, its checkpoint, and a run that forgets part of it.

The model is a logistic regression on Tally's applications, so that scikit-learn can say
where the loop should end. JAX gives the gradient and compiles the step; everything else is
here. Optimiser: Adam, as in algorithm 1 of Kingma and Ba (arXiv:1412.6980).
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

# in float32, which is JAX's default, the printed figures would depend on the machine
jax.config.update("jax_enable_x64", True)

COLUMNS = "basket income tenure_days purchases_180d late_180d open_balance utilisation".split()
BATCH, EPOCHS, RATE, PENALTY, SEED = 256, 12, 0.02, 1e-4, 1


def rows(applications, day):
    """What was known on `day`: standardised columns and one of ones (n, 8), repaid (n,)."""
    known = applications[applications.label_known_at < day]
    columns = known[COLUMNS].to_numpy(float)
    columns = (columns - columns.mean(0)) / columns.std(0)
    return np.column_stack([columns, np.ones(len(known))]), known.repaid.to_numpy(float)


# 1 · a loss: one number that says how wrong the weights are on these rows
def loss(weights, inputs, repaid):
    """Mean negative log-likelihood, and a penalty on all weights but the constant's."""
    scores = inputs @ weights
    misfit = jnp.mean(jnp.logaddexp(0, scores) - repaid * scores)
    return misfit + PENALTY / 2 * jnp.sum(weights[:-1] ** 2)


def start(width):
    nothing = jnp.zeros(width)
    return {"weights": nothing, "mean": nothing, "square": nothing, "step": 0}


# 2 · its gradient, and 3 · a step of the optimiser, which remembers: compiled once
@jax.jit
def update(state, inputs, repaid, rate):
    gradient = jax.grad(loss)(state["weights"], inputs, repaid)
    step = state["step"] + 1
    mean = 0.9 * state["mean"] + 0.1 * gradient
    square = 0.999 * state["square"] + 0.001 * gradient**2
    move = mean / (1 - 0.9**step) / (jnp.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return {
        "weights": state["weights"] - rate * move,
        "mean": mean,
        "square": square,
        "step": step,
    }


# 4 · batches, in an order that follows from seed and epoch and needs no saving
def batches(rows, epoch):
    order = np.random.default_rng([SEED, epoch]).permutation(rows)
    return np.split(order[: rows // BATCH * BATCH], rows // BATCH)


# 5 · a checkpoint: all that the rest depends on, written whole or not at all
def save(path, state, epoch):
    whole = path.with_suffix(".writing")
    with whole.open("wb") as file:
        np.savez(file, epoch=epoch, **state)
        file.flush()
        os.fsync(file.fileno())
    whole.replace(path)


def load(path, width):
    """The state and the next epoch; from the beginning where there is no checkpoint."""
    if not path.exists():
        return start(width), 0
    with np.load(path) as saved:
        if set(saved.files) != {"epoch", *start(width)} or saved["weights"].shape != (width,):
            raise ValueError(f"{path.name} is no checkpoint of this model: it holds {sorted(saved.files)}")
        state = {name: jnp.asarray(saved[name]) for name in start(width)}
        return state | {"step": int(state["step"])}, int(saved["epoch"]) + 1


def train(inputs, repaid, path, until=EPOCHS, forget=None):
    """Train `until` so many epochs are done, from the checkpoint at `path` if there is one.

    Saves after each epoch. `forget` is what a careless checkpoint leaves out: "optimiser"
    or "epoch". Returns the weights and, of each epoch of this run, the loss on all rows.
    """
    state, first = load(path, inputs.shape[1])
    if forget == "optimiser":
        state = start(inputs.shape[1]) | {"weights": state["weights"]}
    if forget == "epoch":
        first, until = 0, until - first
    losses = []
    for epoch in range(first, until):
        for batch in batches(len(inputs), epoch):
            rate = RATE / (1 + epoch)
            state = update(state, inputs[batch], repaid[batch], rate)
        save(path, state, epoch)
        losses.append(float(loss(state["weights"], inputs, repaid)))
    return state["weights"], losses


def best(inputs, repaid):
    """The lowest loss, by scikit-learn, whose C is one over penalty times rows."""
    model = LogisticRegression(C=1 / (PENALTY * len(inputs)), tol=1e-10, max_iter=1000)
    model.fit(inputs[:, :-1], repaid)
    return float(loss(np.append(model.coef_[0], model.intercept_), inputs, repaid))


def figures(inputs, repaid, broken_after=4):
    cutoff = np.log(0.66 / 0.34)  # Lab 1.1's, on the scale of the scores
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        whole, losses = train(inputs, repaid, folder / "whole.npz")
        lowest = best(inputs, repaid)
        found = {
            "rows": len(inputs),
            "steps": EPOCHS * (len(inputs) // BATCH),
            "steps_an_epoch": len(inputs) // BATCH,
            "broken_after": broken_after,
            "loss_sklearn": lowest,
            "loss": losses[-1],
            "gap": losses[-1] - lowest,
            "gap_when_broken": losses[broken_after - 1] - lowest,
        }
        train(inputs, repaid, folder / "broken.npz", until=broken_after)
        for forget in (None, "optimiser", "epoch"):
            path = Path(shutil.copy(folder / "broken.npz", folder / f"{forget}.npz"))
            weights, after = train(inputs, repaid, path, forget=forget)
            otherwise = ((inputs @ weights) >= cutoff) != ((inputs @ whole) >= cutoff)
            found |= {
                f"differ_{forget or 'nothing'}": float(jnp.abs(weights - whole).max()),
                f"otherwise_of_1000_{forget or 'nothing'}": 1000 * float(otherwise.mean()),
                f"gap_{forget or 'nothing'}": after[-1] - lowest,
            }
    return found


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data" / "applications.parquet"
    print(json.dumps(figures(*rows(pd.read_parquet(data), "2024-09-01"))))

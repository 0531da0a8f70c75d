"""Data-parallel training: four devices take a quarter of the batch each, and one all-reduce
makes the whole gradient.

Run on one machine, whose processor plays four devices. `step_seconds` is the arithmetic of
how far that goes: a ring all-reduce of S bytes over n devices moves 2 (n - 1) / n S through
each link (Patarasuk and Yuan, 2009).
"""

import json
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P


def loss(weights, rows, repaid):
    """Mean log loss of a logistic regression; rows of shape (n, columns)."""
    margin = rows @ weights
    return jnp.mean(jnp.logaddexp(0, margin) - repaid * margin)


def parallel_gradient(devices):
    """A function like jax.grad(loss) whose rows are dealt out; n is a multiple of the
    devices."""
    mesh = Mesh(devices, ("batch",))

    def share(weights, rows, repaid):
        return jax.lax.pmean(jax.grad(loss)(weights, rows, repaid), "batch")

    return jax.jit(
        jax.shard_map(
            share, mesh=mesh, in_specs=(P(), P("batch"), P("batch")), out_specs=P(), check_vma=False
        )
    )


def step_seconds(devices, compute, size, bandwidth, overlap=0.0):
    """One step: `compute` seconds of one device shared by all, then an all-reduce of
    `size` bytes at `bandwidth` bytes a second. `overlap` is the share of the computation
    during which one can talk already; no more can hide behind it than it lasts."""
    if devices < 1 or not 0 <= overlap <= 1:
        raise ValueError("at least one device, and an overlap between 0 and 1")
    work = compute / devices
    talk = 2 * (devices - 1) / devices * size / bandwidth
    return work + talk - min(talk, overlap * work)


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    rows, repaid, weights = rng.normal(size=(4096, 8)), rng.random(4096) < 0.8, rng.normal(size=8)
    batch = [jnp.asarray(part, jnp.float32) for part in (weights, rows, repaid)]
    whole, parts = jax.grad(loss)(*batch), parallel_gradient(jax.devices())(*batch)
    assert np.allclose(whole, parts, rtol=1e-5, atol=1e-7), "four quarters are not the whole"

    # chosen: a step of 400 ms on one device, 100 million weights of 4 bytes, a line of 5 GB/s (40 Gbit)
    step = {"compute": 0.4, "size": 4e8, "bandwidth": 5e9}
    one = step_seconds(1, **step)
    found = {"devices": len(jax.devices()), "talk_8": step_seconds(8, **step) - one / 8, "compute_8": one / 8}
    found |= {f"speedup_{n}": one / step_seconds(n, **step) for n in (2, 4, 8, 64)}
    found["speedup_8_half"] = one / step_seconds(8, **step | {"size": 2e8})
    found["speedup_8_batch4"] = 4 * one / step_seconds(8, **step | {"compute": 1.6})
    found["speedup_8_overlap"] = one / step_seconds(8, **step, overlap=1)
    found["speedup_8_fast"] = one / step_seconds(8, **step | {"bandwidth": 1e11})
    print(json.dumps(found, indent=1))

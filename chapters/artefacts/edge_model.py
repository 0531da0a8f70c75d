"""Does the till decide as we do? A model is converted for it, and judged by decisions
instead of by digits.

`parity` is the gate: a converted model that decides otherwise about more than `allowed`
applications is refused.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order
import numpy as np
import onnxruntime as ort
import pandas as pd
from onnx import load_from_string
from onnx.helper import make_opsetid
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnxruntime.quantization import quantize_dynamic
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tally.decision import CUTOFF

COLUMNS = "basket income tenure_days purchases_180d late_180d open_balance utilisation hour".split()


def for_the_till(model, rows):
    """The model as the bytes of an ONNX file, which takes one float32 for each column."""
    first = rows[:1].astype(np.float32)
    file = to_onnx(model, first, options={"zipmap": False})
    # skl2onnx 1.20 names the default operators twice in a file of trees, and the quantiser stumbles over that
    once = {one.domain: one.version for one in file.opset_import}
    del file.opset_import[:]
    file.opset_import.extend(make_opsetid(*one) for one in once.items())
    return file.SerializeToString()


def at_the_till(file, rows, together=False):
    """The chance of repayment (float32) that the file gives to each row, shape (rows,);
    asked about one at a time, as at a till, or about all in one call."""
    options = ort.SessionOptions()
    # or an older processor cuts off what does not fit into 16 bits
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    calls = [rows] if together else np.split(rows, len(rows))
    scores = [session.run(None, {name: call.astype(np.float32)})[1] for call in calls]
    return np.concatenate(scores)[:, 1]


def parity(here, there, cutoff=CUTOFF, allowed=0.0):
    """How many applications two sides decide otherwise, from their chances of repayment;
    ValueError if more than the share `allowed`."""
    if len(here) != len(there) or not len(here) or not np.isfinite([*here, *there]).all():
        raise ValueError("both sides must score the same applications, with numbers")
    other = (here >= cutoff) != (there >= cutoff)
    if other.mean() > allowed:
        differ = f"{other.sum()} of {len(other)} decided otherwise"
        raise ValueError(f"{differ}; largest difference {np.abs(here - there).max():.1e}")
    return int(other.sum())


def quantised(file):
    """The file with 8-bit weights where ONNX Runtime's dynamic quantisation finds products of
    matrices; without any, as in trees, it comes back unchanged and without a word."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.onnx"
        (Path(folder) / "model.onnx").write_bytes(file)
        quantize_dynamic(Path(folder) / "model.onnx", small)
        return small.read_bytes()


class DynamicQuantizeLinear(OpRun):
    """256 steps laid over each row by itself, as if it were asked about alone."""

    op_domain = ""

    def _run(self, rows):
        low, high = rows.min(1, keepdims=True).clip(max=0), rows.max(1, keepdims=True).clip(min=0)
        step = np.where(high > low, (high - low) / 255, 1).astype(np.float32)
        zero = np.rint(-low / step).clip(0, 255)
        return (np.rint(rows / step) + zero).clip(0, 255).astype(np.uint8), step, zero.astype(np.uint8)


class MatMulInteger(OpRun):
    """Products of 8 bits, added as an x86 processor without the newer instruction (VNNI)
    adds them unless it is told otherwise: in pairs, and each pair is cut off at 16 bits.
    ONNX Runtime under an emulated Haswell agrees."""

    op_domain = ""

    def _run(self, rows, weights, row_zero, _):  # the quantiser puts the zero of weights at 0
        rows, weights = rows.astype(np.int32), weights.astype(np.int32)
        pairs = rows[:, ::2, None] * weights[::2] + rows[:, 1::2, None] * weights[1::2]
        summed = pairs.clip(-(2**15), 2**15 - 1).sum(axis=1)
        return (summed - row_zero.astype(np.int32) * weights.sum(axis=0),)


def at_an_older_till(file, rows):
    """`at_the_till`, one at a time, on a processor that cuts sums off."""
    ops = [DynamicQuantizeLinear, MatMulInteger]
    session = ReferenceEvaluator(load_from_string(file), new_ops=ops)
    return session.run(None, {session.input_names[0]: rows.astype(np.float32)})[1][:, 1]


def split(applications):
    """Training rows known on 1 July 2024, as in Lab 1.1, and a trial of October and
    November."""
    rows = applications.assign(hour=applications.applied_at.dt.hour)
    known = (rows.applied_at >= "2024-04-01") & (rows.label_known_at < "2024-07-01")
    return rows[known], rows[rows.applied_at.between("2024-10-01", "2024-12-01")]


FORESTS, NETWORKS = (1, 2, 3), range(5)  # seeds; the story's forest is the first


def forest(seed):
    return RandomForestClassifier(100, random_state=seed)


def boosted(seed=7):
    return HistGradientBoostingClassifier(max_iter=40, learning_rate=0.2, max_leaf_nodes=8, random_state=seed)


def network(seed):
    return make_pipeline(StandardScaler(), MLPClassifier((64, 32), early_stopping=True, random_state=seed))


def converted(model, training, trial):
    """A trained model's chances of the trial's rows, its file, and the file's chances."""
    seen, asked = training[COLUMNS].to_numpy(float), trial[COLUMNS].to_numpy(float)
    here = model.fit(seen, training.repaid).predict_proba(asked)[:, 1]
    file = for_the_till(model, seen)
    return here, file, at_the_till(file, asked)


def of_a_forest(here, _, there):
    return {
        "flips": parity(here, there, allowed=1),
        "declined": int(((here >= CUTOFF) & (there < CUTOFF)).sum()),
        "on_the_cut": int((np.abs(here - CUTOFF) < 1e-9).sum()),
        "flips_half_a_step": parity(here, there, CUTOFF - 0.005),
        "difference": float(np.abs(here - there).max()),
    }


def of_a_network(here, file, asked):
    """What eight bits change: alone, in one call, and alone on an older processor."""
    less = quantised(file)
    coarse = at_the_till(less, asked)
    return {
        "kb": round(len(less) / 1000),
        "flips": parity(here, coarse, allowed=1),
        "flips_together": parity(here, at_the_till(less, asked, together=True), allowed=1),
        "flips_older": parity(here, at_an_older_till(less, asked), allowed=1),
        "mean": round(float(np.abs(here - coarse).mean()), 4),
        "scores": coarse,
    }


def figures(applications):
    training, trial = split(applications)
    asked, repaid = trial[COLUMNS].to_numpy(float), trial.repaid
    found = {"rows": len(trial), "forests": len(FORESTS), "networks": len(NETWORKS)}

    forests = [converted(forest(seed), training, trial) for seed in FORESTS]
    seen = [of_a_forest(*one) for one in forests]
    here, file, _ = forests[0]
    found |= {f"forest_{what}": value for what, value in seen[0].items() if what != "difference"}
    found |= {
        "forest_kb": round(len(file) / 1000),
        "forest_auc": round(roc_auc_score(repaid, here), 4),
        "forest_flips_least": min(one["flips"] for one in seen),
        "forest_flips_most": max(one["flips"] for one in seen),
        "forest_all_one_way": int(all(one["flips"] == one["declined"] for one in seen)),
        "forest_below_a_millionth": int(max(one["difference"] for one in seen) < 1e-6),
    }

    here, file, there = converted(boosted(), training, trial)
    found |= {
        "boosted_kb": round(len(file) / 1000),
        "boosted_auc": round(roc_auc_score(repaid, here), 4),
        "boosted_flips": parity(here, there, allowed=1),
    }

    networks = [converted(network(seed), training, trial) for seed in NETWORKS]
    seen = [of_a_network(here, file, asked) for here, file, _ in networks]
    drops = [
        roc_auc_score(repaid, here) - roc_auc_score(repaid, one["scores"])
        for (here, *_), one in zip(networks, seen, strict=True)
    ]
    found["network_kb"] = round(len(networks[0][1]) / 1000)
    found["network_flips"] = max(parity(here, there, allowed=1) for here, _, there in networks)
    found["quantised_auc_drop"] = round(float(np.abs(drops).max()), 4)
    for what in ("kb", "flips", "flips_together", "flips_older", "mean"):
        values = [one[what] for one in seen]
        found |= {f"quantised_{what}_least": min(values), f"quantised_{what}_most": max(values)}
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

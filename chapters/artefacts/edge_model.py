"""Does the till decide as we do? A model is converted for it, and judged by decisions
instead of by digits.

`parity` is the gate: a converted model that decides otherwise about more than `allowed`
applications is refused. Euros are earned for 100 euros asked, as in Lab 4.3: a repaid
purchase brings 10, an unpaid one costs 40.
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

CUTOFF = 0.8
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


class MatMulInteger(OpRun):
    """Products of 8 bits, added as an x86 processor without the newer instruction (VNNI)
    adds them unless it is told otherwise: in pairs, and each pair is cut off at 16 bits.
    ONNX Runtime under an emulated Haswell agrees."""

    op_domain = ""

    def _run(self, rows, weights, row_zero, _):  # the quantiser puts the zero of weights at 0
        rows, weights = rows.astype(np.int32), weights.astype(np.int32)
        pairs = rows[:, ::2, None] * weights[::2] + rows[:, 1::2, None] * weights[1::2]
        return (pairs.clip(-(2**15), 2**15 - 1).sum(axis=1) - int(row_zero) * weights.sum(axis=0),)


def at_an_older_till(file, rows):
    """`at_the_till`, one at a time, on a processor that cuts sums off."""
    session = ReferenceEvaluator(load_from_string(file), new_ops=[MatMulInteger])
    calls = np.split(rows.astype(np.float32), len(rows))
    return np.concatenate([session.run(None, {session.input_names[0]: call})[1] for call in calls])[:, 1]


def split(applications):
    """Training rows known on 1 July 2024, as in Lab 1.1, and a trial of October and
    November."""
    rows = applications.assign(hour=applications.applied_at.dt.hour)
    known = (rows.applied_at >= "2024-04-01") & (rows.label_known_at < "2024-07-01")
    return rows[known], rows[rows.applied_at.between("2024-10-01", "2024-12-01")]


def figures(applications):
    training, trial = split(applications)
    seen, asked = training[COLUMNS].to_numpy(float), trial[COLUMNS].to_numpy(float)
    worth = trial.basket * np.where(trial.repaid, 0.10, -0.40)
    models = {
        "forest": RandomForestClassifier(100, random_state=1),
        "boosted": HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.2, max_leaf_nodes=8, random_state=7
        ),
        "network": make_pipeline(
            StandardScaler(), MLPClassifier((64, 32), early_stopping=True, random_state=7)
        ),
    }
    found = {"rows": len(trial)}
    for name, model in models.items():
        here = model.fit(seen, training.repaid).predict_proba(asked)[:, 1]
        file = for_the_till(model, seen)
        there = at_the_till(file, asked)
        found |= {
            f"{name}_kb": round(len(file) / 1000),
            f"{name}_auc": round(roc_auc_score(trial.repaid, here), 4),
            f"{name}_euros": round(100 * worth[here >= CUTOFF].sum() / trial.basket.sum(), 3),
            f"{name}_flips": parity(here, there, allowed=1),
            f"{name}_below_a_millionth": int(np.abs(here - there).max() < 1e-6),
        }
        if name == "network":
            less = quantised(file)
            coarse = at_the_till(less, asked)
            crowd, older = at_the_till(less, asked, together=True), at_an_older_till(less, asked)
            found |= {
                "quantised_kb": round(len(less) / 1000),
                "quantised_auc": round(roc_auc_score(trial.repaid, coarse), 3),
                "quantised_euros": round(100 * worth[coarse >= CUTOFF].sum() / trial.basket.sum(), 2),
                "quantised_flips": parity(here, coarse, allowed=1),
                "quantised_flips_together": parity(here, crowd, allowed=1),
                "quantised_flips_older": parity(here, older, allowed=1),
                "quantised_mean": round(float(np.abs(here - coarse).mean()), 4),
            }
        if name == "forest":
            found["forest_declined"] = int(((here >= CUTOFF) & (there < CUTOFF)).sum())
            found["forest_on_the_cut"] = int((np.abs(here - CUTOFF) < 1e-9).sum())
            found["forest_flips_half_a_step"] = parity(here, there, CUTOFF - 0.005)
    return found


if __name__ == "__main__":
    print(json.dumps(figures(pd.read_parquet("data/applications.parquet")), indent=1))

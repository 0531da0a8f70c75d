"""What chapter 11 shows as worked: it runs, and each guard says no to the fault that it is there for."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from edge_model import (
    COLUMNS,
    DynamicQuantizeLinear,
    MatMulInteger,
    at_an_older_till,
    at_the_till,
    for_the_till,
    parity,
    quantised,
    split,
)
from federated import federate, gain, newcomer, shared_scale, train
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neural_network import MLPClassifier
from till_alone import ELSEWHERE, behind, last_copy, longest_alone, worst_hour

ARTEFACTS = ROOT / "chapters" / "artefacts"
pytestmark = pytest.mark.filterwarnings("ignore:Field onnx:DeprecationWarning")


# A model for the till


@pytest.fixture(scope="module")
def converted(applications):
    """A model's chances for some rows, its file, and the rows."""
    training, trial = split(applications)
    model = HistGradientBoostingClassifier(max_iter=20, random_state=7).fit(
        training[COLUMNS].to_numpy(float), training.repaid
    )
    rows = trial[COLUMNS].to_numpy(float)[:2000]
    return model.predict_proba(rows)[:, 1], for_the_till(model, rows), rows


def test_a_converted_model_decides_as_the_trained_one(converted):
    here, file, rows = converted
    assert parity(here, at_the_till(file, rows)) == 0


@pytest.mark.parametrize(
    "fault",
    [
        lambda rows: rows[:, [1, 0, *range(2, rows.shape[1])]],  # two columns change places
        lambda rows: np.c_[rows[:, 0], rows[:, 1] / 12, rows[:, 2:]],  # the income of a month
        lambda rows: np.c_[rows[:, :-2], 100 * rows[:, -2], rows[:, -1]],  # utilisation in per cent
        lambda rows: np.roll(rows, 1, axis=0),  # one row late
    ],
    ids=["columns swapped", "another unit", "per cent", "rows shifted"],
)
def test_a_broken_conversion_is_refused(converted, fault):
    here, file, rows = converted
    with pytest.raises(ValueError, match="decided otherwise"):
        parity(here, at_the_till(file, fault(rows)), allowed=0.01)


def test_agreement_to_six_digits_is_no_agreement_about_people():
    here = np.array([0.8, 0.5, 0.9])
    with pytest.raises(ValueError, match=r"1 of 3 decided otherwise; largest difference 1\.4e-07"):
        parity(here, here.astype(np.float32) - np.float32(1e-7))


@pytest.mark.parametrize(
    ("here", "there"), [([0.9], [0.9, 0.9]), ([], []), ([0.9], [np.nan]), ([np.nan], [0.9])]
)
def test_parity_of_nothing_or_of_no_numbers_is_an_error(here, there):
    with pytest.raises(ValueError, match="same applications"):
        parity(np.array(here), np.array(there))


@pytest.fixture(scope="module")
def network():
    """A small network of random rows, those rows, and its file for the till."""
    rng = np.random.default_rng(7)
    rows, repaid = rng.normal(size=(400, 8)), rng.random(400) < 0.8
    model = MLPClassifier((64, 32), early_stopping=True, random_state=7).fit(rows, repaid)
    return model, rows, for_the_till(model, rows)


def test_eight_bits_shrink_a_network_and_change_nothing_in_trees(converted, network):
    file = network[2]
    assert len(quantised(file)) < 0.7 * len(file)
    _, trees, rows = converted
    assert len(quantised(trees)) >= len(trees)
    assert (at_the_till(quantised(trees), rows[:200]) == at_the_till(trees, rows[:200])).all()


def test_the_quantiser_stumbles_over_operators_that_are_named_twice(converted):
    """What skl2onnx 1.20 writes for trees; when this fails, `for_the_till` may be shorter."""
    model = HistGradientBoostingClassifier(max_iter=2, random_state=7).fit([[0.0], [1.0]] * 40, [0, 1] * 40)
    file = to_onnx(model, np.zeros((1, 1), np.float32), options={"zipmap": False})
    assert len(file.opset_import) > len({one.domain for one in file.opset_import})
    with pytest.raises(ValueError, match=r"ai\.onnx"):
        quantised(file.SerializeToString())


def test_in_eight_bits_a_score_depends_on_the_company(network):
    model, rows, file = network
    crowd = np.vstack([rows, np.full((1, 8), 100.0)])  # one who is unlike all others
    for how in (file, quantised(file)):
        alone, together = at_the_till(how, crowd)[:400], at_the_till(how, crowd, together=True)[:400]
        assert (np.abs(alone - together).max() > 0.01) == (how is not file)
    assert at_the_till(file, rows) == pytest.approx(model.predict_proba(rows)[:, 1], abs=1e-6)


def test_an_older_processor_cuts_off_what_does_not_fit_into_sixteen_bits():
    node = helper.make_node("MatMulInteger", ["a", "b", "none", "zero"], ["y"])
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.UINT8, [1, 4]),
        helper.make_tensor_value_info("b", TensorProto.INT8, [4, 1]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])
    zeros = [
        helper.make_tensor("none", TensorProto.UINT8, [], [0]),
        helper.make_tensor("zero", TensorProto.INT8, [], [0]),
    ]
    model = helper.make_model(helper.make_graph([node], "sum", inputs, [output], zeros))
    weights = np.array([[127], [127], [-1], [1]], np.int8)
    for pixels, sums in {(255, 255, 3, 5): (64772, 32769), (9, 9, 3, 5): (2288, 2288)}.items():
        asked = {"a": np.array([pixels], np.uint8), "b": weights}
        exact = ReferenceEvaluator(model).run(None, asked)[0]
        older = ReferenceEvaluator(model, new_ops=[MatMulInteger]).run(None, asked)[0]
        assert (int(exact[0, 0]), int(older[0, 0])) == sums


def test_each_row_has_steps_of_its_own_as_onnx_lays_them():
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "step", "zero"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 8])
    kinds = {"y": TensorProto.UINT8, "step": TensorProto.FLOAT, "zero": TensorProto.UINT8}
    outputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    model = helper.make_model(helper.make_graph([node], "steps", [x], outputs))
    rows = np.random.default_rng(7).normal(size=(300, 8)).astype(np.float32)
    alone = [ReferenceEvaluator(model).run(None, {"x": row[None]}) for row in rows]
    together = ReferenceEvaluator(model, new_ops=[DynamicQuantizeLinear]).run(None, {"x": rows})
    for got, want in zip(together, zip(*alone, strict=True), strict=True):
        assert (got.ravel() == np.concatenate([np.ravel(one) for one in want])).all()


def test_an_older_till_agrees_where_no_bits_are_counted(network):
    _, rows, file = network
    assert at_an_older_till(file, rows[:20]) == pytest.approx(at_the_till(file, rows[:20]), abs=1e-6)
    assert at_an_older_till(quantised(file), rows[:20]).shape == (20,)


# A till alone


def test_the_tills_copy_is_older_than_the_purchase(applications):
    copies = last_copy(applications)
    first = ~applications.duplicated("customer_id")
    assert copies[first].isna().all().all()
    second = applications[~first].iloc[0]
    before = applications[applications.customer_id == second.customer_id].iloc[0]
    assert (copies.loc[second.name] == before[ELSEWHERE].astype(float)).all()


def test_a_till_is_alone_as_long_as_the_worst_case_may_last():
    assert worst_hour(asked=300, approved=0.5) == pytest.approx(60)
    assert longest_alone(at_stake=600, asked=300, approved=0.5) == pytest.approx(10)
    assert longest_alone(600, 300, 0.25) > longest_alone(600, 300, 0.5), (
        "who approves less may go on for longer"
    )
    for wrong in ((0, 300, 0.5), (600, 0, 0.5), (600, 300, 0), (600, 300, 1.1)):
        with pytest.raises(ValueError, match="at stake"):
            longest_alone(*wrong)


def test_what_a_policy_is_behind_is_what_one_adds_up_by_hand():
    rows = pd.DataFrame({"basket": [100.0, 100.0, 200.0], "customer_id": [1, 2, 3]})
    worth = pd.Series([10.0, -40.0, 20.0])
    everybody, nobody = np.ones(3, bool), np.zeros(3, bool)
    assert behind(worth, nobody, everybody, rows)[0] == pytest.approx(100 * -10 / 400)
    assert behind(worth, everybody, everybody, rows) == [0, 0, 0]


# Learning from many places


@pytest.fixture
def two_shops():
    rng = np.random.default_rng(7)
    rows = np.c_[np.ones(600), rng.normal(size=(600, 2))]
    repaid = (rng.random(600) < 1 / (1 + np.exp(-rows @ [1.0, 2.0, -1.0]))).astype(float)
    return rows, repaid, [(rows[:200], repaid[:200]), (rows[200:], repaid[200:])]


def test_an_average_after_every_step_is_the_pooled_training(two_shops):
    rows, repaid, shops = two_shops
    assert np.allclose(federate(shops, 50, 1), train(np.zeros(3), rows, repaid, 50))


def test_weights_by_rows_matter(two_shops):
    rows, repaid, shops = two_shops
    unweighted = np.mean([train(np.zeros(3), *shop, 1) for shop in shops], axis=0)
    assert not np.allclose(unweighted, train(np.zeros(3), rows, repaid, 1))


def test_shops_that_differ_pull_the_average_away(two_shops):
    rows, repaid, _ = two_shops
    order = np.argsort(rows[:, 1] + repaid)  # one shop sees the poor risks, the other the good ones
    shops = [(rows[part], repaid[part]) for part in np.split(order, 2)]
    pooled = train(np.zeros(3), rows, repaid, 400)
    drift = np.abs(federate(shops, 1, 400) - pooled).max()
    assert drift > 10 * np.abs(federate(shops, 400, 1) - pooled).max()


def test_three_sums_of_each_shop_give_the_scale_of_the_pooled_rows(two_shops):
    rows, _, shops = two_shops
    mean, spread = shared_scale([part for part, _ in shops])
    assert np.allclose(mean, rows.mean(axis=0)) and np.allclose(spread, rows.std(axis=0))
    unlike = shared_scale([rows[:200], rows[200:] + 5])[0]
    assert not np.allclose(unlike, np.mean([rows[:200].mean(0), (rows[200:] + 5).mean(0)], axis=0))


def test_whoever_has_few_rows_gains_by_joining_and_whoever_is_another_kind_loses():
    """The positive controls of the table: a gain and a loss that were planted are both found."""
    rng = np.random.default_rng(7)
    rows = np.c_[np.ones(6000), rng.normal(size=(6000, 7))]
    truth = np.array([1.0, 2, -1, 1, -1, 0.5, -0.5, 0.3])
    repaid = (rng.random(6000) < 1 / (1 + np.exp(-rows @ truth))).astype(float)
    alike = [(rows[:2000], repaid[:2000]), (rows[2000:4000], repaid[2000:4000])]
    asked, its = rows[4000:], repaid[4000:]
    alone, together = newcomer(alike, 0, asked, its, rng, draws=5)
    assert together > alone + 0.01

    contrary = (rng.random(6000) < 1 / (1 + np.exp(rows @ truth))).astype(float)
    shops = [(rows[:2000], contrary[:2000]), *alike, alike[0]]
    scores = [asked @ weights for weights in (train(np.zeros(8), *shops[0], 200), federate(shops, 10, 20))]
    lead, low, high = gain(contrary[4000:], *scores, np.arange(2000), rng, resamples=50)
    assert low < lead < high < 0


def test_a_ring_moves_over_each_link_what_the_formula_says():
    """An all-reduce of 24 numbers around a ring, counted: first the sums of parts, then their copies."""
    for devices in (2, 3, 4, 8):
        parts = np.random.default_rng(devices).normal(size=(devices, devices, 24 // devices))
        held, sent = parts.copy(), np.zeros(devices)
        for step in range(2 * (devices - 1)):
            moved = {rank: held[rank, (rank - step) % devices].copy() for rank in range(devices)}
            for rank, part in moved.items():
                after, place = (rank + 1) % devices, (rank - step) % devices
                held[after, place] = part + (held[after, place] if step < devices - 1 else 0)
                sent[rank] += part.size
        assert np.allclose(held, parts.sum(axis=0))
        assert (sent == 2 * (devices - 1) / devices * 24).all()


def test_four_devices_make_the_gradient_of_the_whole_batch_and_formulas_keep_their_limits():
    code = """
import numpy as np
from data_parallel import jax, jnp, loss, parallel_gradient, step_seconds
rng = np.random.default_rng(1)
batch = [jnp.asarray(x, jnp.float32) for x in (rng.normal(size=3), rng.normal(size=(64, 3)), rng.random(64) < .5)]
assert len(jax.devices()) == 4
whole, parts = jax.grad(loss)(*batch), parallel_gradient(jax.devices())(*batch)
assert np.allclose(whole, parts, rtol=1e-5)
skewed = [batch[0], batch[1][::2], batch[2][::2]]
assert not np.allclose(whole, parallel_gradient(jax.devices())(*skewed), rtol=1e-3)
assert step_seconds(1, 0.4, 4e8, 2.5e9) == 0.4
assert np.isclose(step_seconds(8, 0.4, 4e8, 5e9), 0.05 + 0.14)
assert np.isclose(step_seconds(8, 0.4, 4e8, 5e9, overlap=0.5), 0.05 + 0.14 - 0.025)
assert np.isclose(step_seconds(8, 0.4, 4e8, 5e9, overlap=1), 0.14), "no more hides than the computing lasts"
assert np.isclose(step_seconds(8, 4.0, 4e8, 5e9, overlap=1), 0.5), "all of it hides"
assert np.isclose(step_seconds(2, 0.4, 4e8, 5e9), 0.2 + 0.08)
for bad in ((0, 0), (8, 1.5)):
    try:
        step_seconds(bad[0], 0.4, 4e8, 2.5e9, overlap=bad[1])
    except ValueError:
        continue
    raise SystemExit(f"{bad} was accepted")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ARTEFACTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():
    till, model = (
        json.loads((ROOT / f"chapters/artefacts/{name}.json").read_text())
        for name in ("till_alone", "edge_model")
    )
    assert till["floor_euros"] / till["connected_euros"] == pytest.approx(1 / 3, abs=0.05), "a third"
    assert till["alone_adds_from"] > 0, "the till's own view adds something to the floor limit"
    assert till["copy_euros"] - till["alone_euros"] > till["alone_euros"] - till["floor_euros"]
    assert till["copy_hour"] < till["alone_hour"] < till["floor_hour"] < till["none_hour"], (
        "loses more from then on"
    )
    assert till["copy_worst_hour"] > till["floor_worst_hour"], "it bounds the worst"
    assert till["old_copy_euros"] > till["old_alone_euros"], "the age of the copy gives no clock"
    assert model["forest_all_one_way"] and model["forest_flips"] == model["forest_declined"]
    assert model["forest_flips_least"] > 5 * model["quantised_flips_most"], "far fewer"
    assert model["forest_below_a_millionth"] and model["quantised_mean_least"] > 100 * 1e-6, (
        "hundreds of times"
    )
    assert model["quantised_flips_together_least"] > 3 * model["quantised_flips_most"], (
        "another figure in company"
    )
    assert model["quantised_flips_older_most"] > 5 * model["quantised_flips_older_least"], "can't be told"
    assert model["quantised_kb_least"] == model["quantised_kb_most"]
    shops = json.loads((ROOT / "chapters/artefacts/federated.json").read_text())
    kinds = [name.removeprefix("gain_") for name in shops if name.startswith("gain_")]
    assert [kind for kind in kinds if shops[f"to_{kind}"] < 0] == ["electronics", "travel"], "two lose"
    assert not [kind for kind in kinds if shops[f"from_{kind}"] > 0], "no shop gains more than noise"
    assert min((shops[f"gain_{kind}"], kind) for kind in kinds)[1] == "electronics", "the worst"
    assert shops["newcomer_together"] > shops["newcomer_alone"] + 0.05

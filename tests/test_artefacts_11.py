"""What chapter 11 shows as worked: it runs, and each guard says no to the fault that it is there for."""

import json
import sqlite3
import sys
from contextlib import ExitStack, closing, contextmanager

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
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from outbox import Ledger, Outbox
from rollout import PLANS, roll_out, speaks_against
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


# Two sides that cannot talk

# a step: what happens, and after how many statements of it the process is killed, if it is
HAPPENS = [
    "decide",
    "decide",
    "send",
    "send",
    "deliver",
    "deliver",
    "answer",
    "lose",
    "double",
    "answer again",
    "restart",
]
DIES = st.sampled_from([None] * 18 + list(range(6)))
STEPS = st.lists(st.tuples(st.sampled_from(HAPPENS), DIES), min_size=15, max_size=40)


class Killed(BaseException):
    """What a process notices of kill -9: nothing after it."""


class Mortal(sqlite3.Connection):
    """A connection whose process dies before a statement or before the commit; what was not committed is gone."""

    left = None
    spent = 0

    def __init__(self, path, **how):
        super().__init__(path, **how)
        super().execute("PRAGMA synchronous = OFF")  # a process is killed here, the power stays on

    def step(self):
        Mortal.spent += 1
        if Mortal.left is not None:
            Mortal.left -= 1
            if Mortal.left < 0:
                raise Killed

    def execute(self, *what):
        self.step()
        return super().execute(*what)

    def __exit__(self, *why):
        try:
            if why[0] is None:
                self.step()
        except Killed:
            super().__exit__(*sys.exc_info())  # as the journal does when the file is opened again
            raise
        return super().__exit__(*why)


@contextmanager
def mortal(connect=sqlite3.connect):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda path: connect(path, factory=Mortal))
        patch.setattr(Mortal, "left", None)
        yield


def live_through(folder, steps, random, outbox, ledger):
    """A till and a ledger live through these steps; the line is good at last, and each decision must count once."""
    with ExitStack() as power:  # what closes the files, at a crash and at the end

        def start():
            Mortal.left = None
            box, there = outbox(folder / "till.db", "7"), ledger(folder / "ledger.db")
            return power.enter_context(closing(box)), power.enter_context(closing(there))

        live(start, power.close, steps, random)


def live(start, crash, steps, random):
    box, there = start()
    made, line, answers = [], [], []
    for step, left in steps:
        Mortal.left, basket = left, {"basket": len(made)}
        try:
            if step == "decide":
                box.decide(basket)
                made.append(basket)
            elif step == "send" and box.waiting():
                line.append(random.choice(box.waiting()))
            elif step == "deliver" and line:  # in any order; a ledger that dies here has answered nothing
                answers.append(there.receive(*line.pop(random.randrange(len(line)))))
            elif step == "lose" and line:
                line.pop(random.randrange(len(line)))
            elif step == "double" and line:
                line.append(random.choice(line))
            elif step == "answer" and answers:
                box.acknowledged(*answers.pop(random.randrange(len(answers))))
            elif step == "answer again" and answers:  # late and twice
                box.acknowledged(*random.choice(answers))
            elif step == "restart":
                raise Killed
        except Killed:
            crash()
            box, there = start()
            if step == "decide" and [body for *_, body in box.waiting()][-1:] == [json.dumps(basket)]:
                made.append(basket)  # it was kept, though nobody heard of it: then it must count
        Mortal.left = None
        arrived = there.decisions("7", box.life)
        assert arrived == made[: len(arrived)], "the ledger has what was decided, in order"
        waits = [json.loads(body) for *_, body in box.waiting()]
        assert waits == made[len(made) - len(waits) :], "what waits was decided"
        assert len(arrived) + len(waits) >= len(made), "nothing is lost"
    for message in box.waiting() * 2:
        box.acknowledged(*there.receive(*message))
    assert there.decisions("7", box.life) == made and box.waiting() == []


def each_decision_counts_once(tmp_path_factory, outbox=Outbox, ledger=Ledger, examples=200):
    """The promise, tried on many lives; a class that breaks it raises."""

    @settings(derandomize=True, database=None, deadline=None, max_examples=examples, phases=[Phase.generate])
    @given(steps=STEPS, random=st.randoms(use_true_random=False))
    def lives(steps, random):
        live_through(tmp_path_factory.mktemp("till"), steps, random, outbox, ledger)

    with mortal():
        lives()


def test_each_decision_counts_once_and_in_order_whatever_the_line_does(tmp_path_factory):
    each_decision_counts_once(tmp_path_factory)


class NumberThenBody(Outbox):
    def decide(self, decision):
        with self.file:
            self.file.execute("INSERT INTO decisions (body) VALUES ('null')")
        with self.file:
            last = "(SELECT max(number) FROM decisions)"
            self.file.execute(
                f"UPDATE decisions SET body = ? WHERE number = {last}",
                (json.dumps(decision, sort_keys=True),),
            )


class ForgetsTheAnswered(Outbox):
    def acknowledged(self, life, number):
        with self.file:
            self.file.execute("DELETE FROM decisions WHERE number <= ?", (number + 1,))


class CountsFromOne(Outbox):
    def acknowledged(self, life, number):
        super().acknowledged(life, number)
        if not self.waiting():
            with self.file:
                self.file.execute("DELETE FROM sqlite_sequence")


class AcknowledgesWhatArrived(Ledger):
    def receive(self, till, life, number, body):
        super().receive(till, life, number, body)
        return life, number


class AcknowledgesBeforeItIsKept(Ledger):
    def receive(self, till, life, number, body):
        upto = self.upto(till, life)
        with self.file:
            self.file.execute(
                "INSERT OR REPLACE INTO complete VALUES (?, ?, ?)", (till, life, max(upto, number))
            )
        return super().receive(till, life, number, body)


class KeepsCopies(Ledger):
    def decisions(self, till, life):
        kept = super().decisions(till, life)
        return kept + kept[-1:] if len(kept) > 2 else kept


class CountsTwice(Ledger):
    def receive(self, till, life, number, body):
        if self.body(till, life, number) is not None:
            number = self.upto(till, life) + 1
        return super().receive(till, life, number, body)


@pytest.mark.parametrize(
    ("outbox", "ledger"),
    [
        (NumberThenBody, Ledger),
        (ForgetsTheAnswered, Ledger),
        (CountsFromOne, Ledger),
        (Outbox, AcknowledgesWhatArrived),
        (Outbox, AcknowledgesBeforeItIsKept),
        (Outbox, KeepsCopies),
        (Outbox, CountsTwice),
    ],
)
def test_an_outbox_or_a_ledger_that_breaks_the_promise_is_found(tmp_path_factory, outbox, ledger):
    """The positive controls, two of which write in two transactions."""
    with pytest.raises((AssertionError, ValueError, TypeError, ExceptionGroup)):
        each_decision_counts_once(tmp_path_factory, outbox, ledger)


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        yield ledger


@pytest.fixture
def outbox(tmp_path):
    """Opens the outbox of till 7 in a file, and closes it in the end."""
    with ExitStack() as opened:
        yield lambda name: opened.enter_context(closing(Outbox(tmp_path / name, "7")))


def test_a_ledger_takes_no_longer_for_the_last_message_than_for_the_first(tmp_path):
    with mortal(), closing(Ledger(tmp_path / "ledger.db")) as ledger:
        statements = []
        for number in range(1, 301):
            before = Mortal.spent
            ledger.receive("7", "life", number, "{}")
            statements.append(Mortal.spent - before)
        assert max(statements) == min(statements)
        shuffled = [int(number) for number in np.random.default_rng(7).permutation(300) + 1]
        before = Mortal.spent
        for number in shuffled:
            ledger.receive("8", "life", number, "{}")
        assert Mortal.spent - before <= 8 * 300


def test_a_new_disk_does_not_pass_for_copies_of_the_old(ledger, outbox):
    old = outbox("old.db")
    old.decide({"basket": 10})
    answer = ledger.receive(*old.waiting()[0])
    new = outbox("new.db")
    new.decide({"basket": 99})
    new.acknowledged(*answer)
    assert new.waiting(), "the answer was for the old disk"
    ledger.receive(*new.waiting()[0])
    assert ledger.decisions("7", new.life) == [{"basket": 99}]
    assert ledger.decisions("7", old.life) == [{"basket": 10}]


def test_a_copied_disk_is_noticed(ledger):
    ledger.receive("7", "life", 1, '{"basket": 10}')
    with pytest.raises(ValueError, match="copied disk"):
        ledger.receive("7", "life", 1, '{"basket": 99}')
    assert ledger.decisions("7", "life") == [{"basket": 10}]


def test_a_number_is_not_given_twice_after_the_box_was_emptied(outbox):
    box = outbox("till.db")
    box.decide({"basket": 1})
    box.acknowledged(box.life, 1)
    box.close()
    box = outbox("till.db")
    box.decide({"basket": 2})
    assert [number for _, _, number, _ in box.waiting()] == [2]


# A release in rings


def test_a_wrong_model_is_halted_and_a_good_one_arrives():
    assert roll_out("wrong", **PLANS["silence"])["halted"]
    at_once = roll_out("wrong", **PLANS["at_once"])
    assert at_once["till_hours"] < 1.2 * at_once["tills"], "the halt came within the first hour"
    arrived = roll_out("none", **PLANS["silence"], seed=3)
    assert not arrived["halted"] and arrived["tills"] == 2000 and arrived["till_hours"] == 0


def test_only_who_counts_silence_finds_a_model_that_does_not_load():
    for name, plan in PLANS.items():
        assert roll_out("mute", **plan)["halted"] == (name == "silence"), name


def test_a_till_that_cannot_be_reached_goes_back_by_its_lease():
    stays = max(roll_out("wrong", **PLANS["at_once"], seed=seed)["last"] for seed in range(5))
    assert roll_out("wrong", **PLANS["leased"])["last"] <= 25 < stays


def test_no_reports_speak_against_nobody():
    assert not speaks_against(0, 0) and not speaks_against(250, 1000) and speaks_against(350, 1000)


# What the chapter says in words


def test_what_the_chapter_says_in_words_is_what_was_computed():
    till, model, rollout = (
        json.loads((ROOT / f"chapters/artefacts/{name}.json").read_text())
        for name in ("till_alone", "edge_model", "rollout")
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
    seen = [rollout[f"mute_{plan}_halted"] for plan in ("at_once", "hourly", "reports")]
    assert seen == [0, 0, 0] and rollout["mute_silence_halted"] == rollout["releases"]

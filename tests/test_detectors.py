"""The detectors of lab 7.1 and of chapter 7, on data that nobody here made: every column of the data sets that ship
with scikit-learn and river. What must ring is derived from theory, and what must not is counted."""

import ast
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, code_cells
from drift_detector import DriftDetector, psi
from river import datasets as streams
from scipy import stats
from scipy.spatial import distance
from scipy.special import rel_entr
from sklearn import datasets as tables
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

LAB = ROOT / "labs" / "07_drift_detection.ipynb"
OFFLINE = (
    "Bananas ChickWeights ImageSegments Phishing SolarFlare TrumpApproval"  # in the package, not downloaded
)


def functions_of(lab, **names):
    """The functions of a lab's visible cells, defined without running the lab; `names` is what they use."""
    for cell in code_cells(lab):
        tree = ast.parse(cell.source)
        tree.body = [
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names["wanted"]
        ]
        if "exercise" not in cell.metadata.get("tags", []):
            exec(compile(tree, lab.name, "exec"), names)
    return names


@pytest.fixture(scope="module")
def in_lab():
    wanted = "shares psi jensen_shannon gaps ks wasserstein chi_squared chi_squared_exact_reference psi_limit"
    wanted += " cuts bin_of histogram total suspicions tell_apart"
    training = pd.DataFrame()  # the default of a parameter
    known = {"np": np, "pd": pd, "stats": stats, "rel_entr": rel_entr, "train_test_split": train_test_split}
    return functions_of(
        LAB, wanted=wanted.split(), roc_auc_score=roc_auc_score, training=training, columns=None, **known
    )


def numeric_columns():
    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes", "linnerud"):
        frame = getattr(tables, f"load_{name}")(as_frame=True).frame
        for column in frame:
            yield f"{name}.{column}", frame[column].to_numpy(float)
    for name in OFFLINE.split():
        frame = pd.DataFrame([x for x, _ in getattr(streams, name)()])
        for column in frame.select_dtypes("number"):
            yield f"{name}.{column}", frame[column].to_numpy(float)


NUMBERS = dict(numeric_columns())
FLARES = pd.DataFrame([x for x, _ in streams.SolarFlare()])


def halves(values, seed):
    """Two halves of one column, dealt at random: nothing has changed between them."""
    rows = np.random.default_rng(seed).permutation(len(values))
    return values[rows[::2]], values[rows[1::2]]


def commonest(values):
    found, rows = np.unique(values, return_counts=True)
    return found[rows.argmax()]


def some(values, share):
    return np.random.default_rng(3).random(len(values)) < share


CHANGES = {
    "up by a deviation": lambda v: v + np.std(v) + (np.std(v) == 0),
    "down by a deviation": lambda v: v - np.std(v) - (np.std(v) == 0),
    "the commonest value falls below all": lambda v: np.where(v == commonest(v), v.min() - 1, v),
    "the commonest value rises above all": lambda v: np.where(v == commonest(v), v.max() + 1, v),
    "the highest value becomes the lowest": lambda v: np.where(v == v.max(), v.min(), v),
    "the lowest value becomes the highest": lambda v: np.where(v == v.min(), v.max(), v),
    "two in five become −1": lambda v: np.where(some(v, 0.4), -1, v),
    "two in five go missing": lambda v: np.where(some(v, 0.4), np.nan, v),
    "all become the median": lambda v: np.full(len(v), np.median(v)),
    "all go missing": lambda v: np.full(len(v), np.nan),
}


def widest_gap(one, other):
    """Kolmogorov and Smirnov's distance, missing values counted as above all others."""
    return stats.ks_2samp(*(np.nan_to_num(v, nan=1e9) for v in (one, other))).statistic


def widest_bin(reference, edges):
    """The largest share of the reference in a bin inside of which values can move unseen."""
    inside = np.searchsorted(edges, reference)
    counts = [(inside == b).mean() for b in np.unique(inside) if len(np.unique(reference[inside == b])) > 1]
    return max(counts, default=0.0)


# Each change that is large enough by theory rings. Inside a bin a change is not seen, so of a widest gap D at least
# D − w is left between bins, w being the widest bin; and by Pinsker's inequality PSI ≥ 4 (D − w)².


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_theory_says_is_visible_rings(change):
    visible, silent = 0, []
    for name, values in NUMBERS.items():
        reference, quiet = halves(values, 7)
        window = CHANGES[change](quiet)
        if len(reference) < 20:
            continue
        detector = DriftDetector(reference)
        alarm, found, limit = detector.check(window)
        least = 4 * max(widest_gap(reference, window) - widest_bin(reference, detector.edges), 0) ** 2
        if 0.8 * least > max(limit, 0.1):  # half a row more in each bin takes a little off
            visible += 1
            if not alarm:
                silent.append((name, found, limit))
    assert not silent
    assert visible > 5, "the condition is so strict that it tests nothing"


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("SolarFlare.evolution", lambda v: np.where(v == 2, 1, v)),
        ("SolarFlare.area", lambda v: np.full(len(v), 1.0)),  # here 2 stands for 97.5 %, see below
        ("digits.pixel_1_0", lambda v: np.where(some(v, 0.3), -1, v)),
        ("ImageSegments.short-line-density-5", lambda v: np.where(some(v, 0.4), -1, v)),
        ("breast_cancer.mean radius", lambda v: np.where(some(v, 0.4), np.nan, v)),
    ],
)
def test_what_falls_below_a_heavy_lowest_value_does_not_vanish(in_lab, column, change):
    values = NUMBERS[column]
    if column == "SolarFlare.area":
        values = 3 - values
    reference, quiet = halves(values, 7)
    window = change(quiet)
    assert widest_gap(reference, window) > 0.2
    assert DriftDetector(reference).check(window)[0]
    edges = in_lab["cuts"](reference, 10)
    pair = [in_lab["histogram"](v, edges) for v in (reference, window)]
    assert in_lab["psi"](*pair) > 0.1
    assert in_lab["ks"](*pair)[1] < 1e-6


def test_a_reference_with_missing_values_still_sees():
    values = np.where(
        some(NUMBERS["breast_cancer.mean radius"], 0.1), np.nan, NUMBERS["breast_cancer.mean radius"]
    )
    reference, quiet = halves(values, 7)
    detector = DriftDetector(reference)
    assert not detector.check(quiet)[0]
    assert detector.check(quiet + 3)[0]
    assert detector.check(quiet[~np.isnan(quiet)].repeat(2))[1] > 0, (
        "that nothing is missing any more shows too"
    )


def test_a_constant_column_rings_when_it_changes_in_either_direction():
    detector = DriftDetector(np.full(500, 3.0))
    assert not detector.check(np.full(100, 3.0))[0]
    for other in (2, 4, np.nan, np.inf, -np.inf):
        assert detector.check(np.full(100, other))[0]
        assert detector.check(np.repeat([3, other], [60, 40]))[0]


def test_twenty_rows_are_enough_for_a_large_change_and_fewer_are_refused():
    twenty = NUMBERS["linnerud.Chins"]
    assert len(twenty) == 20
    detector = DriftDetector(twenty)
    assert not detector.check(twenty)[0]
    assert detector.check(twenty + 100)[0] and detector.check(twenty - 100)[0]
    for few in (twenty[:19], []):
        with pytest.raises(ValueError, match="longer window"):
            detector.check(few)
        with pytest.raises(ValueError, match="longer window"):
            DriftDetector(few)
    with pytest.raises(ValueError, match="all are missing"):
        DriftDetector(np.full(100, np.nan))


# False alarms, over two halves of one column, where every alarm is false.


def within(alarms, trials, stated):
    """Is this count of alarms no more than a binomial with the stated rate allows, in 999 of 1,000 cases?"""
    return alarms <= stats.binom.ppf(0.999, trials, stated)


def test_the_model_answer_rings_no_more_often_on_quiet_halves_than_stated():
    columns = [values for values in NUMBERS.values() if len(values) >= 40]
    alarms = np.array(
        [
            DriftDetector(reference, worth_knowing=0, false_alarms=0.05).check(window)[0]
            for seed in range(8)
            for reference, window in (halves(values, seed) for values in columns)
        ]
    )
    assert len(alarms) > 800
    assert within(alarms.sum(), len(alarms), 0.05), alarms.mean()
    assert alarms.mean() > 0.02, "it would be as useless if it never rang"


def test_the_lab_s_tests_ring_no_more_often_on_quiet_halves_than_stated(in_lab):
    rings = {"ks": [], "psi": [], "chi": []}
    for values in NUMBERS.values():
        if len(values) < 400:
            continue  # the limits of PSI and of chi-squared are for five rows or more in each bin
        for seed in range(8):
            reference, window = halves(values, seed)
            pair = [in_lab["histogram"](v, in_lab["cuts"](reference, 10)) for v in (reference, window)]
            common = pair[0] + pair[1] >= 20
            if common.sum() < 2:
                continue
            pair = [np.append(counts[common], counts[~common].sum()) for counts in pair]
            used = (pair[0] + pair[1] > 0).sum()
            limit = in_lab["psi_limit"](len(reference), len(window), used)
            rings["psi"].append(in_lab["psi"](*pair) > limit)
            rings["chi"].append(in_lab["chi_squared"](*pair)[1] < 0.05)
            rings["ks"].append(in_lab["ks"](*pair)[1] < 0.05)
    for name, alarms in rings.items():
        assert len(alarms) > 300
        assert within(sum(alarms), len(alarms), 0.06 if name == "psi" else 0.05), (name, np.mean(alarms))
    assert np.mean(rings["chi"]) > 0.03 and np.mean(rings["psi"]) > 0.03


def test_the_classifier_s_p_value_keeps_its_promise(in_lab):
    frame = tables.load_breast_cancer(as_frame=True).data.iloc[:, :5]
    detective = HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=8, random_state=7)
    in_lab |= {"columns": list(frame), "detective": detective}
    p = []
    for seed in range(40):
        shuffled = frame.sample(frac=1, random_state=seed)
        p.append(in_lab["tell_apart"](shuffled[:250], shuffled[250:])[1])
    assert within(sum(np.array(p) <= 0.05), len(p), 0.05)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert in_lab["tell_apart"](1.5 * frame[:250], frame[250:])[1] < 1e-6


# The lab's statistics are SciPy's.


def test_at_every_distinct_value_the_lab_finds_what_scipy_finds(in_lab):
    for name, values in NUMBERS.items():
        reference, window = halves(values, 1)
        window = window + 0.3 * np.std(values)
        known = np.unique(np.r_[reference, window])
        pair = [np.bincount(np.searchsorted(known, v), minlength=len(known)) for v in (reference, window)]
        widest, p = in_lab["ks"](*pair)
        theirs = stats.ks_2samp(reference, window, method="asymp")
        assert np.isclose(widest, theirs.statistic), name
        # both are limits for many rows; Smirnov's correction is of the order of one over the root of the rows
        assert abs(p - theirs.pvalue) < 1 / np.sqrt(len(window)), name
        assert np.isclose(
            in_lab["wasserstein"](*pair, known), stats.wasserstein_distance(reference, window)
        ), name
        theirs = distance.jensenshannon(*pair)
        assert np.isclose(in_lab["jensen_shannon"](*pair), theirs, atol=1e-7), name


@pytest.mark.parametrize("column", FLARES.select_dtypes(exclude="number").columns)
def test_chi_squared_is_scipy_s_for_categories_new_gone_and_absent(in_lab, column):
    codes, known = pd.factorize(FLARES[column])
    one, other = (np.bincount(half, minlength=len(known)) for half in halves(codes, 2))
    cases = {
        "quiet": (one, other),
        "a new category": (np.append(one, 0), np.append(other, 30)),
        "a category gone": (np.append(one, 30), np.append(other, 0)),
        "a category absent from both": (np.append(one, 0), np.append(other, 0)),
    }
    for name, pair in cases.items():
        table = np.array(pair)
        theirs = stats.chi2_contingency(table[:, table.any(axis=0)], correction=False)[:2]
        assert np.allclose(in_lab["chi_squared"](*pair), theirs, rtol=1e-9, atol=1e-12), name
    assert in_lab["chi_squared"](*cases["a new category"])[1] < 0.001
    assert in_lab["psi"](*cases["a new category"]) > 0.1
    # nothing may change for a category that neither sample knows
    for measure in ("psi", "jensen_shannon"):
        there, absent = (in_lab[measure](*cases[name]) for name in ("quiet", "a category absent from both"))
        assert np.isclose(there, absent), measure


def test_one_single_category_is_no_difference(in_lab):
    statistic, p = in_lab["chi_squared"](np.array([50]), np.array([70]))
    assert (statistic, p) == (0, 1)


def test_no_statistic_of_the_lab_is_ever_nan(in_lab):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in NUMBERS.values():
            for change in CHANGES.values():
                reference, window = halves(values, 5)
                edges = in_lab["cuts"](reference, 10)
                pair = [in_lab["histogram"](v, edges) for v in (reference, change(window))]
                assert sum(pair[1]) == len(window), "every row has a bin"
                found = [
                    in_lab["psi"](*pair),
                    in_lab["jensen_shannon"](*pair),
                    *in_lab["ks"](*pair),
                    *in_lab["chi_squared"](*pair),
                ]
                assert np.isfinite(found).all()


def test_psi_of_lab_and_model_answer_are_one(in_lab):
    draws = np.random.default_rng(1).multinomial(200, [0.5, 0.3, 0.2, 0, 0], size=(2, 50))
    assert np.allclose(in_lab["psi"](*draws), psi(*draws))


def test_a_reference_taken_for_exact_rings_as_often_as_theory_says(in_lab):
    """Evidently's chi-squared forgets the noise of the reference, which is as large as the window's."""
    shares = FLARES["zurich-class"].value_counts(normalize=True)
    shares = shares[shares > 0.02] / shares[shares > 0.02].sum()
    draws = np.random.default_rng(1).multinomial(900, shares, size=(2, 4_000))
    rate = (in_lab["chi_squared_exact_reference"](*draws) < 0.05).mean()
    freedom = len(shares) - 1
    theory = stats.chi2.sf(stats.chi2.isf(0.05, freedom) / 2, freedom)
    assert abs(rate - theory) < 4 * np.sqrt(theory * (1 - theory) / 4_000)
    assert within((in_lab["chi_squared"](*draws)[1] < 0.05).sum(), 4_000, 0.05)

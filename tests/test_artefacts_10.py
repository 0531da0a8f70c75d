"""What chapter 10 says in words is what its labs recorded, and the model card says what lab 4.3 did."""

import hashlib
import json
import re

import pandas as pd
import pytest
from conftest import ROOT

AGES = {"18-25": "young", "26-40": "26", "41-60": "41", "61+": "old"}


def figures_of(lab):
    """What a lab recorded: {key: value}, without the lab's prefix."""
    cells = json.loads((ROOT / "labs" / f"{lab}.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return {
        output["metadata"]["scrapbook"]["name"].partition(".")[2]: float(next(iter(output["data"].values())))
        for output in outputs
        if "scrapbook" in output.get("metadata", {})
    }


@pytest.fixture(scope="module")
def recorded():
    return figures_of("04_model_testing")


def test_the_labs_on_the_model_and_on_fairness_speak_of_one_model(recorded):
    fair = figures_of("10_fairness")
    for group in AGES.values():
        assert fair[f"released_good_approved_{group}"] == pytest.approx(
            1 - recorded[f"good_declined_{group}"]
        )
    for group in ("young", "old"):
        assert fair[f"released_gap_{group}"] == pytest.approx(recorded[f"gap_{group}"])


def test_what_the_chapter_and_the_card_say_in_words_about_fairness():
    fair = figures_of("10_fairness")
    assert abs(fair["released_good_approved_young"] - fair["released_good_approved_old"]) < 0.03
    assert fair["released_gap_to_young"] < 0 < fair["released_gap_from_old"], "the gaps have opposite signs"
    for rule in ("recalibrated", "cutoffs"):
        assert fair[f"{rule}_euros_from"] < 0 < fair[f"{rule}_euros_to"], "no cost that could be seen"
    assert fair["coin_euros_to"] < -fair["earned"] / 3, "more than a third of what the model earns"
    assert fair["cutoffs_spread_good"] < 0.03 < 0.15 < fair["cutoffs_spread_bad"]
    assert max(fair["coin_spread_good"], fair["coin_spread_bad"]) < 0.05 < fair["coin_spread_parity"]
    assert fair["ratio_recalibrated"] < 0.8 < fair["ratio_recalibrated_to"], "just above four fifths"
    assert fair["coin_gap_old"] == fair["recalibrated_gap_old"], "the coin leaves the scores"
    assert abs(fair["beside_gap_old"] - fair["released_gap_old"]) < 0.005, "beside it nothing changes"
    assert 0.4 < fair["instead_gap_old"] / fair["released_gap_old"] < 0.6, "in its place about half is left"
    assert fair["spring_instead_gap_old_from"] < 0 < fair["spring_instead_gap_old_to"]
    for group in ("young", "26", "41"):
        assert fair[f"instead_good_approved_{group}"] < fair[f"released_good_approved_{group}"], "others pay"
    assert fair["without_good_approved_young"] < fair["released_good_approved_young"]
    assert fair["without_euros_to"] < 0 and fair["without_gap_old"] > fair["released_gap_old"] / 2
    mean_error = fair["german_noise"] / 100**0.5  # of a mean over the lab's 100 splits
    assert fair["german_before"] > 4 * mean_error, "the older were approved more often"
    assert fair["german_learned"] < 0.2 * fair["german_before"], "removed where it was learned"
    assert abs(fair["german_after"]) < 2 * mean_error, "and on average on other rows"
    assert 0.8 < fair["german_noise"] / fair["german_before"] < 1.25, "as much as what was repaired"
    assert 0.2 < fair["german_worse"] < 0.5, "one split says little"
    assert fair["arm_1_width"] > 0.3 and fair["arm_50_euros"] < -0.7 * fair["earned"]


def test_what_the_chapter_says_in_words_about_the_trail():
    trail = figures_of("10_audit_trail")
    assert trail["found_recomputed"] == trail["found_plain"] == trail["fork_found_alone"] == 0
    assert trail["found_heads"] == trail["found_chain"] == trail["attacks"] == 4
    assert (trail["replayed_same"], trail["replayed_wrong_scores"]) == (20, 0)
    assert trail["replayed_wrong_outcomes"] == 20
    assert trail["missed_by_outcomes"] == pytest.approx((1 - trail["outcomes_changed"]) ** 20)
    assert trail["missed_by_outcomes"] > 0.5, "on most nights"
    assert (1 - trail["outcomes_changed"]) ** 200 < 0.05, "two hundred outcomes rarely miss"
    assert trail["reasons_first_low"] > 0.9 > 0.5 > trail["reasons_fourth_same"], "the fourth mostly isn't"
    assert trail["keys_that_open"] == 0 < trail["keys_left"]


# The model card: each figure in its place, a digest, a signer and a day

CARD = next(
    path
    for path in (
        ROOT / "tally" / "pages" / "model_card.md",
        ROOT / "chapters" / "artefacts" / "model_card.md",
    )
    if path.exists()
)
SLICES = {"61+": "old", "18-25": "young", "big baskets": "big"}
OTHERWISE = [  # what may have a figure and is measured by nobody
    r"\d{1,2} (?:January|March|October|September) \d{4}|was \*known\* on 1 October",
    r"Lab (?:4\.3|10\.2)|40 trees|rate 0\.2|8 leaves|seed 7|within 45 days|45 days late",
    r"each 100 €|earns 10 € of 100 €|loses 40 €|40 % quicker|95 % interval",
    r"sha256 `[0-9a-f]{64}`|late_180d|61\+|18-25|26-40|41-60",
]


def sentences(lab):
    """What the card says in words, with lab 4.3's figures."""
    return [
        f"approves from a score of {lab['cutoff']:.1f} on",
        f"the cut-off of {lab['cutoff']:.1f} is that ratio of costs",
        f"late before: {lab['slices']:.0f} slices, chosen before looking",
        f"exceeds {lab['slice_limit']:.1f} times its noise, which the worst of {lab['slices']:.0f} does",
        f"{lab['trial_rows']:,.0f} applications from 1 October 2024 on, whose outcome was known on 17 March 2025",
        f"{lab['training_rows']:,.0f} applications whose outcome was known before 1 October 2024",
        f"AUC {lab['auc_champion']:.3f}. Profit {lab['profit_right']:.2f} € for each 100 € asked for; with a cut-off of "
        f"one half it would be {lab['profit_half']:.2f} €, and approving everybody would lose {-lab['profit_all']:.2f} €. "
        f"Approved: {100 * lab['approved_champion']:.0f} % of applications.",
        f"{lab['seconds_change']:.0f} decisions of the trial change when everybody is 40 % quicker",
        f"ought to change none, and {lab['region_change']:.0f} when regions are shuffled",
        f"in use, {lab['saved_by_debt']:.0f} declined shoppers would be approved",
    ]


def rows(lab):
    """The rows of the card's tables, cell by cell."""
    for name, key in SLICES.items():
        gap, low, high = (lab[f"gap{side}_{key}"] for side in ("", "_from", "_to"))
        verdict = "yes: trusted too little" if low > 0 else "yes: trusted too much" if high < 0 else "no"
        yield [name, f"{lab[f'rows_{key}']:,.0f}", f"{gap:+.3f}", f"{low:+.3f} to {high:+.3f}", verdict]
    yield ["Of those who repaid", *AGES]
    yield ["declined", *(f"{100 * lab[f'good_declined_{group}']:.0f} %" for group in AGES.values())]


def taught_by(table):
    known = table[table.label_known_at < "2024-10-01"]
    lines = "".join(
        f"{number},{paid:d}\n" for number, paid in zip(known.application_id, known.repaid, strict=True)
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def card_faults(card, lab, digest):
    """What is wrong with a card, compared with what the lab recorded."""
    yield from (f"missing: {sentence}" for sentence in sentences(lab) if sentence not in card)
    told = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"
    ]
    told = [line for line in told if set("".join(line)) - set("-") and line[0] != "Slice"]
    if told != list(rows(lab)):
        yield f"tables: {told}"
    if f"sha256 `{digest}`" not in card:
        yield "not the rows that taught it"
    signed = re.search(r"^Signed by [A-Z]\w+, owner of .+, on (\d+ \w+ \d{4}):", card, flags=re.M)
    review = re.search(r"Review .+ on (\d+ \w+ \d{4})", card)
    if not signed or not review or not pd.Timestamp(signed[1]) < pd.Timestamp(review[1]):
        yield "signed by nobody, on no day, or until no day"
    rest = "\n".join(line for line in card.splitlines() if line[:1] != "|")
    for known in [*map(re.escape, sentences(lab)), *OTHERWISE]:
        rest = re.sub(known, "", rest)
    yield from (f"nobody measured {figure}" for figure in re.findall(r"\S*\d\S*", rest))


@pytest.fixture(scope="module")
def truth(recorded):
    return CARD.read_text(), recorded, taught_by(pd.read_parquet(ROOT / "data" / "applications.parquet"))


def test_the_card_says_what_the_lab_recorded_and_who_answers_for_it(truth):
    assert list(card_faults(*truth)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("| 61+ | 961 |", "| 61+ | 3,321 |"),
        ("| 18-25 | 3,321 | -0.023 |", "| 18-25 | 3,321 | -0.031 |"),
        ("| declined | 21 % | 15 % |", "| declined | 15 % | 21 % |"),
        ("| 18-25 | 26-40 |", "| 26-40 | 18-25 |"),
        ("yes: trusted too little", "no"),
        ("yes: trusted too little", "yes: trusted too much"),
        ("Signed by Vera, owner of credit risk, on", "Read by the team on"),
        ("on 24 March 2025: this", "lately: this"),
        (", or on 17 September 2025, whichever is first", ""),
        ("or on 17 September 2025", "or on 17 September 2024"),
        ("3.52 € for", "1.66 € for"),
        ("The split is by time", "Precision is 91 %. The split is by time"),
        ("approving everybody would lose", "approving everybody would earn"),
        ("with the sha256 `", "with the sha256 `0"),
    ],
)
def test_a_falsified_card_is_refused(truth, right, wrong):
    card, *others = truth
    assert right in card
    assert list(card_faults(card.replace(right, wrong, 1), *others))

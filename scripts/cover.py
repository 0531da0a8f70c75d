"""Draw the cover from the data: twelve weeks of Tally, six before a rival opens and six after.

`python scripts/cover.py` writes `_assets/drawings/cover.svg`. Above stands how well the champion of lab 7.1 ranks the
applications of each week, its AUC; beneath, one row for each of its twelve inputs and one histogram for each week.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "_assets" / "drawings" / "cover.svg"

NUMBERS = "basket income tenure_days purchases_180d late_180d open_balance".split()
NUMBERS += "utilisation checkout_seconds hour".split()
CATEGORIES = ["channel", "merchant_category", "region"]
INPUTS = NUMBERS + CATEGORIES
FIRST_WEEK, RIVAL, WEEKS = pd.Timestamp("2025-04-28"), pd.Timestamp("2025-06-09"), 12

# A week is 14 units wide and a row of inputs 20 units high; the page stretches both.
WEEK, GAP, ROW, HEIGHT = 14, 2, 20, 17


DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" role="img" width="100%" height="420">
<title>The model fails while its inputs stand still</title>
<desc>Twelve weeks at Tally. Above, a line shows how well the model ranks the applications of each week. It runs level for six weeks, falls steeply in the week in which a rival opens next door, and stays low, not far above a coin. Beneath, twelve rows of small histograms show the model's twelve inputs in the same weeks. In each row the twelve histograms look alike, before and after.</desc>
<line class="dashed" x1="50%" x2="50%" y2="420"/>
<line class="dashed" x2="100%" y1="150" y2="150"/>
<svg class="ask heavy" y="20" width="100%" height="130" viewBox="0 20 {wide} 80" preserveAspectRatio="none">
<path d="{level}"/>
</svg>
<svg class="main solid" y="188" width="100%" height="232" viewBox="0 0 {wide} {high}" preserveAspectRatio="none">
{rows}
</svg>
<text y="12">how well the model ranks</text>
<text x="50%" dx="8" y="12">a rival opens next door</text>
<text class="quiet" y="144">no better than a coin</text>
<text y="178">what the model sees</text>
</svg>
"""


def score():
    """The applications of the training months and of the twelve weeks, these with `score` and `week`."""
    applications = pd.read_parquet(ROOT / "data" / "applications.parquet")
    applications["hour"] = applications.applied_at.dt.hour
    training = applications[applications.applied_at < "2024-07-01"]
    champion = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.08,
        max_leaf_nodes=15,
        categorical_features="from_dtype",
        random_state=7,
    ).fit(training[INPUTS], training.repaid)
    week = (applications.applied_at - FIRST_WEEK).dt.days // 7
    weeks = applications.assign(week=week)[week.between(0, WEEKS - 1)]
    return training, weeks.assign(score=champion.predict_proba(weeks[INPUTS])[:, 1])


def auc(rows):
    return roc_auc_score(rows.repaid, rows.score)


def draw_level(weeks):
    """The AUC of each week as a step, 2 units for each hundredth below 1."""
    levels = [round(200 * (1 - auc(rows))) for _, rows in weeks.groupby("week")]
    return f"M{-GAP / 2:g} {levels[0]}" + "".join(f"V{level}h{WEEK}" for level in levels)


def draw_row(column, training, weeks, base):
    """The histograms of one input, a week beside a week, standing on `base`; all to one scale."""
    if column in CATEGORIES:
        values, edges = weeks[column].cat.codes, np.arange(len(weeks[column].cat.categories) + 1) - 0.5
    else:
        values, edges = weeks[column], np.linspace(*training[column].quantile([0.01, 0.99]), WEEK - GAP + 1)
    shares = [np.histogram(values[weeks.week == week], edges)[0] for week in range(WEEKS)]
    shares = [counts / counts.sum() for counts in shares]
    wide, tallest = (WEEK - GAP) / (len(edges) - 1), np.max(shares)
    between = f"V{base}m{wide / 4:g} 0" if column in CATEGORIES else ""  # categories stand apart
    bar = wide * (0.75 if column in CATEGORIES else 1)
    hills = [
        f"M{WEEK * week} {base}"
        + between.join(f"V{base - round(HEIGHT * share / tallest)}h{bar:g}" for share in counts)
        + f"V{base}"
        for week, counts in enumerate(shares)
    ]
    return f'<path d="{"".join(hills)}"/>'


def draw(training, weeks):
    """The text of the SVG; it stretches to the page's width, its words do not."""
    rows = [draw_row(name, training, weeks, ROW * (i + 1)) for i, name in enumerate(INPUTS)]
    return DRAWING.format(
        wide=WEEK * WEEKS - GAP, high=ROW * len(rows), level=draw_level(weeks), rows="\n".join(rows)
    )


if __name__ == "__main__":
    TARGET.write_text(draw(*score()), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1e3:.1f} kB")

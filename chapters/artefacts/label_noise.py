"""What wrong labels do to a measured AUC, and to the lead of one model over another."""

import json
from pathlib import Path

import numpy as np
import pandas as pd


def kept(share_good, good_as_bad, bad_as_good):
    """What random wrong labels leave of an AUC's distance from one half, from 1 (all of it)
    to 0.

    `share_good` of the rows are truly good; of these the share `good_as_bad` is labelled
    bad, and of the bad ones `bad_as_good` is labelled good, whatever their score. Two
    models' AUCs shrink alike, and so does a lead.
    """
    good, bad = share_good * (1 - good_as_bad), (1 - share_good) * (1 - bad_as_good)
    false_good, false_bad = (1 - share_good) * bad_as_good, share_good * good_as_bad
    return 1 - false_good / (good + false_good) - false_bad / (bad + false_bad)


def placements(scores, good):
    """For each good row the share of bad rows below it, for each bad row the share of
    good rows above it."""
    high, low = np.sort(scores[good]), np.sort(scores[~good])
    return np.searchsorted(low, scores[good]) / len(low), 1 - np.searchsorted(high, scores[~good]) / len(high)


def lead(one, other, good):
    """The lead in AUC of `one` over `other` on the same rows, and its standard error
    (DeLong's)."""
    pairs = zip(placements(one, good), placements(other, good), strict=True)
    ahead, behind = (mine - theirs for mine, theirs in pairs)
    return ahead.mean(), np.sqrt(ahead.var() / len(ahead) + behind.var() / len(behind))


def figures(good, chance):
    """The AUC and the rows that a lead needs, with right labels and with some of them
    wrong."""
    rng = np.random.default_rng(7)
    blurred = chance + rng.normal(scale=0.06, size=len(chance))  # a model that knows a little less
    found = {"auc_right": float(placements(chance, good)[0].mean())}
    true_lead, true_error = lead(chance, blurred, good)
    found |= {"lead_right": float(true_lead), "share_repaid": float(good.mean())}
    for name, good_as_bad, bad_as_good in (("1", 0.01, 0.01), ("5", 0.05, 0.05), ("late", 0.05, 0)):
        seen = []
        for _ in range(20):  # one draw of the errors would have its own luck
            labels = good ^ (rng.random(len(good)) < np.where(good, good_as_bad, bad_as_good))
            auc = placements(chance, labels)[0].mean()
            seen.append([auc, *lead(chance, blurred, labels), good[~labels].mean()])
        auc, seen_lead, seen_error, truly_good = np.mean(seen, axis=0)
        found |= {
            f"auc_{name}": float(auc),
            f"kept_{name}": float(kept(good.mean(), good_as_bad, bad_as_good)),
            f"lead_{name}": float(seen_lead),
            f"rows_{name}": float((seen_error / seen_lead) ** 2 / (true_error / true_lead) ** 2),
            f"bad_{name}": float(truly_good),
        }
    return found


if __name__ == "__main__":
    data = Path(__file__).parents[2] / "data"
    applications = pd.read_parquet(data / "applications.parquet")
    truth = pd.read_parquet(data / "truth.parquet").set_index("application_id").p_repaid
    chance = truth.loc[applications.application_id].to_numpy()
    print(json.dumps(figures(applications.repaid.to_numpy(), chance), indent=2))

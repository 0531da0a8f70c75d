"""A bad model goes to 2,000 tills: how many have had it, and for how long, under five
plans?

Simulated in hours. Most tills are reached in 95 of 100 hours, one in twenty only in 2. A
reached till takes the model that its ring is offered, and sends what it has decided since.
Two faults: `wrong` declines 35 shoppers of 100 instead of 25; `mute` does not load on one
till in eight, which then decides by its floor limit and sends nothing more. After a halt
each till goes back when it is next reached. No plan knows the fault; all it has is what is
sent.
"""

import json

import numpy as np

TILLS, HOURS, GOOD, BAD = 2000, 24 * 10, 0.25, 0.35
RINGS = (0.01, 0.10, 1.0)  # shares of the tills that may have the model


def speaks_against(declined, decided):
    """More is declined than before, by over three standard errors."""
    return declined - GOOD * decided > 3 * np.sqrt(GOOD * (1 - GOOD) * decided)


def roll_out(fault, rings=RINGS, hours=None, reporting=0.8, silence=None, lease=None, seed=7):
    """Release once; what happened as a dict. The next ring opens after `hours` or, with
    None, when the share `reporting` of this one has sent decisions, 500 in all.
    `silence`: hours after which a ring that has not reported in that share halts the
    release. `lease`: hours without contact after which a till goes back by itself."""
    rng = np.random.default_rng(seed)
    online = np.where(rng.random(TILLS) < 0.05, 0.02, 0.95)
    mute = (rng.random(TILLS) < 1 / 8) & (fault == "mute")
    has, ever, sent, left = np.zeros((4, TILLS), bool)
    contact, unsent, no = np.zeros((3, TILLS), int)
    declined = decided = till_hours = last = ring = opened = 0
    halted = None
    for hour in range(HOURS):
        reached = rng.random(TILLS) < online
        offered = np.arange(TILLS) < rings[ring] * TILLS
        contact[reached] = hour
        has = has & ~reached if halted is not None else has | (reached & offered & ~left)
        if lease is not None:
            left |= has & (hour - contact > lease)
            has &= ~left
        ever |= has
        bad = has & (mute if fault == "mute" else fault == "wrong")
        till_hours, last = till_hours + bad.sum(), hour if bad.any() else last
        unsent, no = unsent + has, no + (has & (rng.random(TILLS) < (BAD if fault == "wrong" else GOOD)))
        sends = reached & has & ~mute
        declined, decided, sent = declined + no[sends].sum(), decided + unsent[sends].sum(), sent | sends
        unsent[sends], no[sends] = 0, 0
        share, waited = sent[offered].mean(), hour + 1 - opened
        if halted is None and (
            speaks_against(declined, decided) or (silence and waited >= silence and share < reporting)
        ):
            halted = hour
        ready = waited >= hours if hours is not None else share >= reporting and decided >= 500
        if halted is None and ready and ring + 1 < len(rings):
            ring, opened = ring + 1, hour + 1
    return {"tills": ever.sum(), "till_hours": till_hours, "last": last, "halted": halted is not None}


PLANS = {
    "at_once": {"rings": (1.0,)},
    "hourly": {"hours": 1},
    "reports": {},
    "silence": {"reporting": 0.9, "silence": 48},
    "leased": {"rings": (1.0,), "lease": 24},
}

TRIED = (
    [("wrong", plan) for plan in PLANS] + [("mute", plan) for plan in list(PLANS)[:4]] + [("none", "silence")]
)

if __name__ == "__main__":
    found = {"releases": 7}
    for fault, plan in TRIED:
        runs = [roll_out(fault, **PLANS[plan], seed=seed) for seed in range(found["releases"])]
        for what, of in {"tills": np.median, "till_hours": np.median, "last": max, "halted": sum}.items():
            found[f"{fault}_{plan}_{what}"] = float(of([run[what] for run in runs]))
    print(json.dumps(found, indent=1))

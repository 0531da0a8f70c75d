"""Rehearse a plan with a simulated class: `make rehearse PLAN=half-day LEARNERS=24`.

A learner here takes the minutes that a lab counts for its parts (minutes.py), times a pace of their own. At each
exercise they may give one of the wrong answers that the lab knows of, and see the message that its check gives to that
one: the labs are executed for it. A message that is new to the learner may be enough to mend the answer alone. One that
they have seen before is not: then they wait for a helper, who is quicker with a message that the sheet explains
(`make sheets`) or that somebody else had before. So a check that says the same to every mistake costs a class more
than one that tells them apart, and the rehearsal names the messages that cost most.

Nobody has measured the numbers in `Class`: they are assumptions, printed with the result, and options change them. So
this says what a plan stands if they hold, which is less than a class would say and more than a sum of minutes.
"""

import argparse
import heapq
import itertools
import math
import sys
from collections import Counter
from dataclasses import dataclass, field, fields

import nbformat
import numpy as np
from answers import exercises, name_of
from minutes import minutes
from sheets import heard_in, misconceptions
from workshop_plan import LEARNERS_A_HELPER, ROOT, PlanError, measured, read, schedule

REHEARSALS = 200
THROUGH = 2 / 3  # of a class: then the guide goes on
COSTLY = 2  # messages of a lab that are named, since they cost most


@dataclass
class Class:
    """What is assumed of a class."""

    learners: int = 24
    helpers: int = 3
    spread: float = 0.35  # of the logarithm of the pace: two thirds are at most 1.4 times slower or faster
    wrong: float = 0.5  # the chance that an answer is wrong
    alone: float = 0.7  # the chance that a message that the learner has not seen yet is enough to go on alone
    again: float = 2.0  # minutes to read a message and change the answer, at a pace of 1
    helping: float = 3.0  # minutes of a helper who knows what may lie behind a message
    searching: float = 6.0  # minutes of a helper who does not
    tries: int = 3  # wrong answers until an exercise is left open


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that a lab knows of."""

    said: str  # what the check says to it
    on_sheet: bool  # whether the sheet for helpers says what may lie behind that


@dataclass
class Lesson:
    """What happened in one rehearsal of one lab; times in minutes from its first cell."""

    ends: list = field(default_factory=list)  # of each learner
    waits: list = field(default_factory=list)  # for a helper
    mistakes: Counter = field(default_factory=Counter)  # {exercise: wrong answers}
    left_open: Counter = field(default_factory=Counter)  # {exercise: learners}
    helped: Counter = field(default_factory=Counter)  # {(exercise, Mistake): minutes of helpers}

    @property
    def go_on(self):
        """When enough learners are through."""
        return sorted(self.ends)[math.ceil(THROUGH * len(self.ends)) - 1]


def mistakes(trials, known):
    """{exercise: Mistakes} of the wrong answers among `trials` (answers.py), with what is `known` of their messages
    (sheets.py)."""
    found = {}
    for trial in trials:
        if trial.kind == "wrong":
            explained = any(entry["says"] in trial.said for entry in known.get(trial.exercise, []))
            found.setdefault(trial.exercise, []).append(Mistake(trial.said, explained))
    return found


def steps(notebook):
    """The core of a lab as [(exercise or "", minutes)], what is between the exercises dealt out evenly."""
    core = minutes(notebook)["core"]
    end = next(n for n, cell in enumerate(notebook.cells) if "## Take away" in cell.source)
    found = [
        (name_of(check), stub.metadata.course["minutes"])
        for stub, _, check in exercises(notebook.cells[:end])
    ]
    between = (sum(core.values()) - core["exercises"]) / (len(found) + 1)
    return [step for exercise in found for step in (("", between), exercise)] + [("", between)]


def lesson(notebook, possible, people, rng):
    """One rehearsal of the lab `notebook` with the Class `people`, who make the `possible` {exercise: Mistakes}: a
    Lesson."""
    seen, path = Lesson(), steps(notebook)
    told = {}  # {(learner, exercise): the messages that they have seen}
    met = set()  # the messages with which somebody has been helped
    paces = np.exp(rng.normal(-(people.spread**2) / 2, people.spread, people.learners))  # 1 on average
    free = [0.0] * people.helpers
    clock = [
        (0.0, learner, 0, 0) for learner in range(people.learners)
    ]  # time, who, step, wrong answers so far
    heapq.heapify(clock)
    while clock:  # in the order of time, so that whoever asks first is helped first
        now, learner, step, tries = heapq.heappop(clock)
        if step == len(path):
            seen.ends.append(now)
            continue
        exercise, length = path[step]
        if not tries:
            now += length * paces[learner]
        if not exercise or rng.random() >= people.wrong:
            heapq.heappush(clock, (now, learner, step + 1, 0))
            continue
        seen.mistakes[exercise] += 1
        mistake = possible[exercise][rng.integers(len(possible[exercise]))]
        messages = told.setdefault((learner, exercise), set())
        is_new = mistake.said not in messages
        messages.add(mistake.said)
        if tries + 1 == people.tries:
            seen.left_open[exercise] += 1
            heapq.heappush(clock, (now, learner, step + 1, 0))
        elif is_new and rng.random() < people.alone:
            heapq.heappush(clock, (now + people.again * paces[learner], learner, step, tries + 1))
        else:
            begins = max(now, heapq.heappop(free))
            takes = people.helping if mistake.on_sheet or mistake.said in met else people.searching
            met.add(mistake.said)
            seen.waits.append(begins - now)
            seen.helped[exercise, mistake] += takes
            heapq.heappush(free, begins + takes)
            heapq.heappush(clock, (begins + takes, learner, step + 1, 0))
    return seen


def assumed(people):
    """A sentence on the Class `people`, of which nobody has measured a number."""
    return (
        f"Assumed: {people.learners} learners and {people.helpers} helpers. Two thirds of the learners are at most "
        f"{math.exp(people.spread):.1f} times slower or faster than usual (--spread {people.spread}). An answer is wrong "
        f"with a chance of {people.wrong:.0%} (--wrong), and a message that is new to the learner is then enough with one "
        f"of {people.alone:.0%} (--alone), in {people.again:g} minutes (--again). A helper takes {people.helping:g} minutes "
        f"(--helping), or {people.searching:g} if neither the sheet nor an earlier learner explains the message "
        f"(--searching). After {people.tries} wrong answers an exercise stays open (--tries)."
    )


def told(lab, given, lessons):
    """Sentences on the rehearsals (Lessons) of a lab that has `given` minutes, its catching up among them."""
    ends = sorted(one.go_on for one in lessons)
    late = sum(end > given for end in ends) / len(ends)
    waits = [wait for one in lessons for wait in one.waits]
    people = len(lessons[0].ends)
    open_ones = sum((one.left_open for one in lessons), Counter())
    yield f"{lab}: {given} minutes with catching up are enough in {1 - late:.0%} of rehearsals" + (
        "" if late <= 0.1 else ": GIVE IT MORE TIME, OR CUT"
    )
    low, middle, high = np.quantile(ends, [0.05, 0.5, 0.95])
    yield f"  two thirds are through after {middle:.0f} minutes ({low:.0f} to {high:.0f} in nine of ten rehearsals)"
    through = np.mean([end <= given for one in lessons for end in one.ends])
    yield f"  after {given} minutes {1 - through:.0%} of all learners are not through"
    if waits:
        longest = np.median([max(one.waits, default=0) for one in lessons])
        yield f"  who asks for a helper waits {np.mean(waits):.1f} minutes on average, the longest {longest:.0f}"
    for exercise, count in open_ones.most_common():
        yield f"  {exercise} is left open by {count / len(lessons):.1f} of {people}"
    helped = sum((one.helped for one in lessons), Counter())
    for (exercise, mistake), cost in helped.most_common(COSTLY):
        sheet = "" if mistake.on_sheet else " (NOT ON THE SHEET)"
        yield f"  {cost / len(lessons):.0f} minutes of helpers go to {exercise}{sheet}: {' '.join(mistake.said.split())}"


def rehearse(plan, people, hear, seed=1):
    """Yield sentences on each lab of the plan named `plan`, rehearsed REHEARSALS times with the Class `people`, who
    make the mistakes `hear(lab)`, {exercise: Mistakes}."""
    for day in read(plan)["days"]:
        parts = schedule(day)
        labs = [entry["lab"] for entry in day["parts"] if "lab" in entry]
        times = [
            part.minutes + after.minutes for part, after in itertools.pairwise(parts) if part.kind == "lab"
        ]
        for lab, given in zip(labs, times, strict=True):
            notebook = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
            rng, possible = np.random.default_rng(seed), hear(lab)
            lessons = [lesson(notebook, possible, people, rng) for _ in range(REHEARSALS)]
            yield from told(lab, given, lessons)
            if measured(lab) is not None:
                yield "  a class has measured this lab: trust that, and not this"


def hear(lab):
    """Execute the lab named `lab` to hear what its checks say: {exercise: Mistakes}."""
    _, trials = heard_in(lab)
    return mistakes(trials, misconceptions(lab))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", nargs="?", default="half-day")
    for number in fields(Class):
        parser.add_argument(f"--{number.name}", type=type(number.default))
    given = vars(parser.parse_args())
    plan = given.pop("plan")
    chosen = {name: value for name, value in given.items() if value is not None}
    chosen.setdefault("helpers", math.ceil(chosen.get("learners", Class.learners) / LEARNERS_A_HELPER))
    people = Class(**chosen)
    try:
        if people.learners < 1 or people.helpers < 1:
            raise PlanError("a class has at least one learner and one helper, which may be you")
        print(assumed(people), flush=True)
        for sentence in rehearse(plan, people, hear):
            print(sentence, flush=True)
    except PlanError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

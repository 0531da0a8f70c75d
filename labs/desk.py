"""What a lab says to whoever does it: it compares a guess, checks an exercise, and tells what still waits.

    guess = None  # your number here
    compare(guess, 34, "of 100 pairs")

    with check("psi_limit", returns=float) as shown:
        assert psi_limit(200, 200) > psi_limit(2_000, 2_000), "fewer rows make more noise"
        shown("your limit knows its sample. Next: the same with the year before")

    summary()

An exercise that is open, or wrong, stops nothing: the check says so in a sentence, puts the reference in its place,
and the lab goes on. The references stand in `.course.json` beside this file, in a learner's folder only; what has
been passed is kept in `.progress.json` there, which may be removed at any time, and shown in `start.md`.
"""

import copy
import functools
import inspect
import json
import linecache
import numbers
import sys
import traceback
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
COURSE = HERE / ".course.json"
PROGRESS = HERE / ".progress.json"
START = HERE / "start.md"

outcomes = {}  # of this kernel: name of an exercise -> ("passed", "open" or "mistaken", what was said)


def read(path):
    """The JSON object in the file `path`; an empty one where there is no such file or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


references = read(COURSE).get(
    "references", {}
)  # name of an exercise -> source of its solution


def say(*lines):
    """Print each of `lines`, also where a tool has put something else in the place of `print`, as Kubeflow's does."""
    sys.stdout.write("\n".join(lines) + "\n")


def compare(guess, happened, unit=""):
    """Print what happened beside what was guessed: two numbers, or two words such as "yes" and "no".

    `guess` is None where nobody wrote one; `unit` says what a number counts.
    """
    number = isinstance(happened, numbers.Real) and not isinstance(happened, (bool,))
    if isinstance(happened, bool):
        happened = "yes" if happened else "no"
    if isinstance(guess, bool):
        guess = "yes" if guess else "no"
    it = f"{happened:,.6g}" if number else str(happened)
    it += f" {unit}" * bool(unit)
    if guess is None or guess is Ellipsis:
        say(f"It was: {it}.")
    elif number:
        try:
            say(f"You said {float(guess):,.6g}. It was: {it}.")
        except (TypeError, ValueError):
            say(f"You said {guess!r}, and a number can be compared. It was: {it}.")
    elif str(guess).strip().casefold() == str(happened).strip().casefold():
        say(f"You said {guess}, and so it was: {it}.")
    else:
        say(f"You said {guess}. It was: {it}.")


class Mistake(AssertionError):
    """What is wrong with an answer, whatever the check asks of it."""


class check:
    """Checks the exercise `name` (a function of the notebook): a context whose assertions the answer must pass.

    `returns` is the type, or a tuple of types, that each call must give back: float means any number, int any whole
    number, None that nothing is asked. `changes` names those arguments that the function may change in place.
    The context is a function to which the block tells, after its last assertion, what was shown.
    Nothing is raised: whatever goes wrong is told, and the reference takes the answer's place.
    """

    def __init__(self, name, returns=None, changes=()):
        self.name, self.returns, self.changes = name, returns, changes
        self.namespace = sys._getframe(1).f_globals
        self.sentence = ""

    def __enter__(self):
        self.written = self.namespace.get(self.name)
        self.namespace[self.name] = self.watched()
        return self.shown

    def shown(self, sentence):
        self.sentence = sentence

    def watched(self):
        """The answer, refused when it is no function, gives back the wrong type or changes what it was given."""
        written = self.written

        @functools.wraps(written if callable(written) else self.shown)
        def call(*args, **kwargs):
            if written is None:
                raise NotImplementedError
            if not callable(written):
                raise Mistake(f"{self.name} is {a(written)} now, and a function is wanted")
            given = self.given(args, kwargs)
            known = (
                {name: digest(value) for name, value in given.arguments.items()}
                if given
                else {}
            )
            result = (
                written(*given.args, **given.kwargs) if given else written(*args, **kwargs)
            )
            for name, before in known.items():
                if name not in self.changes and digest(given.arguments[name]) != before:
                    raise Mistake(
                        f"it changes `{name}`, which belongs to the caller: work on a copy"
                    )
            if self.returns and not is_a(result, self.returns):
                none = "nothing: does every way through it end in `return`?"
                got = (
                    none
                    if result is None
                    else f"{a(result)}, and {wanted(self.returns)} is wanted"
                )
                raise Mistake(f"it gives back {got}")
            return result

        return call

    def given(self, args, kwargs):
        """The arguments by name, copied where the answer could spoil them; None for a call that does not fit."""
        try:
            given = inspect.signature(self.written).bind(*args, **kwargs)
        except (TypeError, ValueError):
            return None  # Python will say so
        for name, value in given.arguments.items():
            if name not in self.changes and type(value).__name__ in CHANGEABLE:
                given.arguments[name] = copy.deepcopy(value)
        return given

    def __exit__(self, kind, error, trace):
        self.namespace[self.name] = self.written
        if error is not None and not isinstance(error, Exception):
            return False  # an interruption
        if error is None:
            self.tell("passed", "✓", self.sentence)
        elif isinstance(error, NotImplementedError):
            self.tell("open", "○", "open.", self.go_on("come back when you like"))
        else:
            mistake = self.mistake(error, trace)
            stop = "" if mistake[-1] in ".?" else "."
            self.tell(
                "mistaken",
                "✗",
                mistake + stop,
                self.go_on("change your cell and run both again"),
            )
        return True

    def tell(self, outcome, sign, sentence, advice=""):
        outcomes[self.name] = (outcome, sentence)
        say(f"{sign} {self.name}: {sentence}".rstrip(": "), *[advice] * bool(advice))
        remember(self.name, outcome)

    def mistake(self, error, trace):
        """A sentence about what went wrong: the check's own, or where and how the answer stopped."""
        frames = traceback.extract_tb(trace)
        inside = [
            number
            for number, frame in enumerate(frames)
            if frame.name == "call" and frame.filename == __file__
        ]
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        if isinstance(error, AssertionError) and str(error):
            return str(error)
        if inside and inside[0] + 1 < len(
            frames
        ):  # it was raised in the answer or below it
            written = getattr(getattr(self.written, "__code__", None), "co_filename", None)
            own = [frame for frame in frames if frame.filename == written] or [frames[-1]]
            return f"it stops at `{own[-1].line}` with {said}"
        if inside:
            return f"it cannot be called as its first line says: {said}"
        return f"what it gives back does not fit: `{frames[-1].line}` stops with {said}"

    def go_on(self, advice):
        """Put the reference in the answer's place where there is one, and say so."""
        if self.name not in references:
            return f"The cells below need it: {advice}."
        source, place = references[self.name], f"<reference of {self.name}>"
        linecache.cache[place] = (
            len(source),
            None,
            source.splitlines(keepends=True),
            place,
        )
        exec(compile(source, place, "exec"), self.namespace)
        return f"The lab goes on with the reference; {advice}."


NAMES = {
    "NoneType": "None",
    "bool": "a bool (True or False)",
    "float": "a number",
    "int": "a whole number",
    "str": "a string",
    "ndarray": "an array",
    "bool_": "a bool (True or False)",
    "Series": "a Series",
    "DataFrame": "a DataFrame",
}
KINDS = {float: numbers.Real, int: numbers.Integral}


def name_of(kind):
    known = kind.__name__
    article = "an" if known[0].lower() in "aeiou" else "a"
    return NAMES.get(known, f"{article} {known}")


def a(value):
    """The kind of `value`, as one says it."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return "a whole number"
    return name_of(
        float
        if isinstance(value, numbers.Real) and not isinstance(value, bool)
        else type(value)
    )


def wanted(kinds):
    return " or ".join(
        name_of(kind) for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
    )


def is_a(value, kinds):
    """Whether `value` is of one of `kinds`, where NumPy's numbers and Booleans count as Python's."""
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if kind is bool:
            if type(value).__name__ in ("bool", "bool_"):
                return True
        elif type(value).__name__ in ("bool", "bool_") and kind in KINDS:
            continue
        elif isinstance(value, KINDS.get(kind, kind)):
            return True
    return False


CHANGEABLE = ("Series", "DataFrame", "ndarray", "list", "dict", "set")


def digest(value):
    """A digest of what can be changed in place and compared; None of anything else."""
    kind = type(value).__name__
    if kind not in CHANGEABLE:
        return None
    try:
        if kind in ("Series", "DataFrame"):
            from pandas.util import hash_pandas_object

            return str(getattr(value, "columns", "")), hash_pandas_object(
                value
            ).to_numpy().tobytes()
        import joblib  # comes with scikit-learn

        return joblib.hash(value)
    except Exception:  # it holds something that cannot be written down
        return None


def summary():
    """Print how many of the exercises met so far have been passed, and which of them wait."""
    passed = [name for name, (outcome, _) in outcomes.items() if outcome == "passed"]
    waiting = [name for name in outcomes if name not in passed]
    say(
        f"{len(passed)} of {len(outcomes)} exercises passed."
        + " All of them are yours." * (not waiting)
    )
    if waiting:
        say(
            f"Waiting for an answer: {', '.join(waiting)}. What stands below each was made with the reference."
        )


def remember(name, outcome):
    """Keep in the learner's folder that an exercise was tried or passed, and show it on the start page."""
    course = read(COURSE)
    if not course:
        return  # not a learner's folder
    progress = read(PROGRESS)
    known = progress.setdefault(name, {"tries": 0})
    if outcome == "mistaken":
        known["tries"] += 1
    if outcome == "passed":
        known.setdefault("passed", date.today().isoformat())
    write(PROGRESS, json.dumps(progress, indent=1))
    write(START, start_page(course, progress))


def write(path, text):
    """Write `text` to the file `path` whole or not at all; a folder that takes no files is passed over."""
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        return


def start_page(course, progress):
    """The page that `make lab` opens, as Markdown: where to begin, what has been done, where to read and to ask."""
    labs = course["labs"]

    def passed(lab):
        return [name for name in lab["exercises"] if "passed" in progress.get(name, {})]

    open_ = [lab for lab in labs if len(passed(lab)) < len(lab["exercises"])]
    lines = ["# Mastering MLOps", ""]
    if open_:
        verb = "Begin" if not progress else "Go on"
        lines += [f"**{verb} with [{open_[0]['title']}]({open_[0]['file']}).**", ""]
    lines += [*course.get("news", []), ""] if course.get("news") else []
    lines += [
        "Run a cell with Shift + Enter. Where a lab asks *Predict*, write your guess before you run on.",
        "Stuck in an exercise? Open its hints, one at a time; below them is the solution. "
        "Whatever you leave open, the lab goes on with the reference.",
        "",
        "| lab | you will | minutes | builds on | done |",
        "|---|---|---|---|---|",
    ]
    for lab in labs:
        done = f"{len(passed(lab))}/{len(lab['exercises'])}"
        done += " ✓" * (len(passed(lab)) == len(lab["exercises"]))
        minutes = f"{lab['core']}" + f" (+ {lab['further']})" * bool(lab["further"])
        lines.append(
            f"| [{lab['title']}]({lab['file']}) | {lab['purpose']} | {minutes} | {lab['after']} | {done} |"
        )
    lines += [
        "",
        "Minutes are those of the core, and in brackets those of *Further*, which no lesson needs.",
        f"To read: [the book]({course['read']}index.html). Do a lab first and read its chapter after it, for the chapter "
        "tells how the lab ends.",
        f"To ask: {course['ask']}.",
        "",
        "Your files here are never overwritten. What you have passed is kept in `.progress.json`; "
        "remove that file to begin anew. This page is written anew each time.",
        "",
    ]
    return "\n".join(lines)

"""Retraining as a program that may be killed at any moment and is then simply started again.

    python -m tally.pipeline FOLDER 2025-09-15

does the steps of that Monday and writes the result of each into a journal. Started again with the same words, it
goes on behind the last result. It ends with 0 when there is nothing left to do, and with 75 while the canary has
too few requests: then it is to be started again later.

FOLDER holds

    settings.json  what to read and how much of it (`Settings`)
    journal/       one file for each result, named by the digest of all that the result depends on
    models/        models, named by the digest of their bytes
    registry.db    MLflow's registry
    release.json   what shall serve; only this program writes it, and whoever runs the processes reads it
    status.json    what does serve, counted since the canary began; the other way round
"""

import argparse
import fcntl
import hashlib
import io
import json
import logging
import os
import re
import signal
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier

from tally.contract import broken
from tally.decision import CUTOFF
from tally.service import load

READ = ("basket", "income", "tenure_days", "purchases_180d", "late_180d", "open_balance", "utilisation")
MODEL = "credit"  # its name in the registry
LABEL_DELAY = 45  # days
WAITING = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later
CODE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


@dataclass(frozen=True)
class Settings:
    """What a run reads. It is part of the name of each result: other settings, another run."""

    data: str  # the path of the applications
    columns: tuple[str, ...] = READ  # what the model is trained on
    watched_days: int = 28  # the newest labelled days, on which the champion is judged
    window_days: int = 56  # the newest labelled days, from which a candidate learns
    cooldown_days: int = 28 + LABEL_DELAY  # from then on all watched labels are newer than the champion
    share: int = 10  # per cent of the requests that the canary gets
    least: int = 200  # requests to the canary before it is judged


class Waiting(Exception):
    """A step cannot end yet; the run is to be started again later."""


# The runner


def digest(value) -> str:
    """The name of what JSON can write, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def save(path: Path, content: bytes, before_rename: Callable[[], None] = lambda: None) -> None:
    """Write the file whole or not at all, also if this process or the machine stops meanwhile."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # the bytes are on the disk
    before_rename()
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # and the name is, too
    os.close(folder)


def run(
    steps: Sequence[Callable],
    inputs,
    journal: Path,
    at: Callable[[str, str], None] = lambda step, moment: None,
) -> dict:
    """Do the steps whose results `journal`, a folder, does not hold yet; return all results, by name.

    A step is a function of the results so far. It may be done again when the process was killed behind it, so it
    must be idempotent. The run ends early after a result with the key `stop`. `at(step, moment)` is called before a
    step, when it is done, and while its result is being written: to kill the process there.
    """
    results: dict = {}
    for step in steps:
        name = step.__name__
        entry = journal / f"{digest([name, inputs, results])}.json"
        if not entry.exists():
            at(name, "before")
            result = step(results)
            at(name, "done")
            save(entry, json.dumps(result).encode(), lambda name=name: at(name, "writing"))
        results[name] = json.loads(entry.read_bytes())
        if "stop" in results[name]:
            break
    return results


# What the steps are made of


def frozen(model) -> bytes:
    """The model as skops writes it, but the same bytes for the same model.

    skops names the parts of a model by their addresses in memory and puts the time into the archive, so each process
    writes other bytes. Here the parts are numbered in their order, and the time is that of the format's beginning.
    Training itself gives the same model only with the same number of threads, on which sums depend.
    """
    archive = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    schema = archive.read("schema.json").decode()
    number = {old: str(new) for new, old in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)))}
    schema = re.sub(r'"__id__": (\d+)', lambda found: f'"__id__": {number[found[1]]}', schema)
    schema = re.sub(r'"(\d+)(\.\w+)"', lambda found: f'"{number.get(found[1], found[1])}{found[2]}"', schema)
    renamed = {}
    for name in archive.namelist():
        stem, dot, kind = name.partition(".")
        renamed[f"{number.get(stem, stem)}{dot}{kind}"] = archive.read(name)
    renamed["schema.json"] = schema.encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for name in sorted(renamed):
            target.writestr(zipfile.ZipInfo(name), renamed[name])
    return written.getvalue()


def auc_of(repaid, scores) -> float:
    """The AUC of `scores` (array) for `repaid` (array of booleans), by ranks: many are needed here, and quickly."""
    good = np.count_nonzero(repaid)
    return float((rankdata(scores)[repaid].sum() / good - (good + 1) / 2) / (len(repaid) - good))


def auc_with_error(repaid, scores, draws: int = 50) -> tuple[float, float]:
    """AUC, and its standard error from rows drawn again."""
    rng, drawn = np.random.default_rng(7), []
    for _ in range(draws):
        rows = rng.integers(len(repaid), size=len(repaid))
        drawn.append(auc_of(repaid[rows], scores[rows]))
    return auc_of(repaid, scores), float(np.std(drawn))


def leads(repaid, candidate, champion, draws: int = 100) -> np.ndarray:
    """How far the candidate's AUC leads the champion's, on the same rows drawn again."""
    rng, found = np.random.default_rng(7), np.empty(draws)
    for draw in range(draws):
        rows = rng.integers(len(repaid), size=len(repaid))
        found[draw] = auc_of(repaid[rows], candidate[rows]) - auc_of(repaid[rows], champion[rows])
    return found


def verdict(stable: dict, canary: dict, least: int) -> str:
    """Of a canary with these numbers of `requests` and `fallbacks`: "wait", "back" or "promote".

    It goes back if its share of fallbacks is above that of the stable release by more than three standard errors.
    """
    if canary["requests"] < least or not stable["requests"]:
        return "wait"
    asked, failed = (canary[what] + stable[what] for what in ("requests", "fallbacks"))
    share = failed / asked
    error = (share * (1 - share) * (1 / canary["requests"] + 1 / stable["requests"])) ** 0.5
    more = canary["fallbacks"] / canary["requests"] - stable["fallbacks"] / stable["requests"]
    return "back" if more > 3 * error else "promote"


# The steps


class Retraining:
    """The steps of one Monday. Each method is a function of the results before it; see `run`."""

    def __init__(self, folder: Path, day: str):
        self.folder, self.day = folder, pd.Timestamp(day)
        self.settings = Settings(**json.loads((folder / "settings.json").read_bytes()))
        self.data = Path(self.settings.data)
        self.inputs = {
            "day": day,
            "settings": asdict(self.settings),
            "data": hashlib.sha256(self.data.read_bytes()).hexdigest(),
            "code": CODE,
        }
        for name in ("journal", "models"):
            (folder / name).mkdir(exist_ok=True)
        self.table: pd.DataFrame | None = None

    @property
    def steps(self) -> list[Callable]:
        before = [self.begin, self.watch, self.trigger, self.data_gate, self.train, self.model_gate]
        return [*before, self.register, self.offer, self.canary, self.release, self.alias]

    def labelled(self, days: int) -> pd.DataFrame:
        """The applications of the newest days, so many, whose labels were all known in the morning."""
        if self.table is None:
            self.table = pd.read_parquet(self.data)
            self.table["hour"] = self.table.applied_at.dt.hour
        end = self.day.normalize() - timedelta(days=LABEL_DELAY)
        applied = self.table.applied_at
        return self.table[(applied >= end - timedelta(days=days)) & (applied < end)]

    def scores(self, sha256: str, rows: pd.DataFrame, columns) -> np.ndarray:
        model = load(str(self.folder / "models" / sha256), sha256)
        return model.predict_proba(rows[list(columns)].astype(float))[:, 1]

    def begin(self, results: dict) -> dict:
        """Write down who is champion, so that the run speaks of one champion whenever it goes on."""
        return json.loads((self.folder / "release.json").read_bytes())["stable"]

    def watch(self, results: dict) -> dict:
        """Is the champion's AUC on the newest labels below what it promised, by more than three errors?"""
        champion, rows = results["begin"], self.labelled(self.settings.watched_days)
        scores = self.scores(champion["sha256"], rows, champion["columns"])
        auc, error = auc_with_error(rows.repaid.to_numpy(), scores)
        return {"auc": auc, "error": error, "alarm": bool(auc < champion["auc"] - 3 * error)}

    def trigger(self, results: dict) -> dict:
        """Train on an alarm, but not before the champion itself can be judged by labels it did not learn from."""
        trained = pd.Timestamp(results["begin"]["trained_at"]).tz_localize(None)
        rested = (self.day - trained.normalize()).days
        if not results["watch"]["alarm"]:
            return {"stop": "no alarm"}
        if rested < self.settings.cooldown_days:
            return {"stop": f"trained {rested} days ago"}
        return {"rested": rested}

    def data_gate(self, results: dict) -> dict:
        """Does each day of the training window keep the contract?"""
        rows = self.labelled(self.settings.window_days)
        found = {str(day): broken(of_day) for day, of_day in rows.groupby(rows.applied_at.dt.date)}
        bad = {day: clauses for day, clauses in found.items() if clauses}
        return {"days": len(found)} | ({"stop": "contract broken", "broken": bad} if bad else {})

    def train(self, results: dict) -> dict:
        """Learn from the window, but not from the holdout, and put the model into the store."""
        rows = self.labelled(self.settings.window_days)
        rows = rows[rows.customer_id % 5 != 0]
        recipe = {"max_iter": 30, "learning_rate": 0.2, "max_leaf_nodes": 6, "early_stopping": False}
        model = HistGradientBoostingClassifier(**recipe, random_state=7)
        content = frozen(model.fit(rows[list(self.settings.columns)].astype(float), rows.repaid))
        name = hashlib.sha256(content).hexdigest()
        save(self.folder / "models" / name, content)
        return {"sha256": name, "rows": len(rows)}

    def model_gate(self, results: dict) -> dict:
        """Does the candidate lead the champion on the holdout, even at the lower end of the interval?"""
        rows = self.labelled(self.settings.window_days)
        rows = rows[rows.customer_id % 5 == 0]
        repaid, champion = rows.repaid.to_numpy(), results["begin"]
        scores = self.scores(results["train"]["sha256"], rows, self.settings.columns)
        before = self.scores(champion["sha256"], rows, champion["columns"])
        low, high = np.quantile(leads(repaid, scores, before), [0.025, 0.975])
        result = {"auc": auc_of(repaid, scores), "lead": [float(low), float(high)]}
        return result | ({} if low > 0 else {"stop": "no proven lead"})

    def register(self, results: dict) -> dict:
        """Give the model a version in the registry, unless a run that was killed has done so."""
        client, sha256 = self.registry(), results["train"]["sha256"]
        found = client.search_model_versions(f"name='{MODEL}' and tags.sha256='{sha256}'")
        if not found:
            tags = {"sha256": sha256, "cutoff": str(CUTOFF), "day": str(self.day.date())}
            source = (self.folder / "models" / sha256).as_uri()
            found = [client.create_model_version(MODEL, source, tags=tags)]
        return {"version": int(found[0].version)}

    def offer(self, results: dict) -> dict:
        """Ask for the candidate beside the champion. All parts of a release are in one file, renamed into place."""
        release = {
            "sha256": results["train"]["sha256"],
            "trained_at": f"{self.day.date()}T04:00:00+00:00",
            "cutoff": CUTOFF,
            "columns": list(self.settings.columns),
            "auc": results["model_gate"]["auc"],
        }
        self.ask_for(stable=results["begin"], canary=release, share=self.settings.share)
        return release

    def canary(self, results: dict) -> dict:
        """Judge the candidate by what it did with real requests."""
        path = self.folder / "status.json"
        status = json.loads(path.read_bytes()) if path.exists() else {}
        if status.get("canary", {}).get("sha256") != results["offer"]["sha256"]:
            raise Waiting("the candidate does not serve yet")
        said = verdict(status["stable"], status["canary"], self.settings.least)
        if said == "wait":
            raise Waiting("the candidate has had too few requests")
        return {"verdict": said}

    def release(self, results: dict) -> dict:
        """All requests to the candidate, or none."""
        promoted = results["canary"]["verdict"] == "promote"
        stable = results["offer"] if promoted else results["begin"]
        self.ask_for(stable=stable, canary=None, share=0)
        return {"stable": stable["sha256"]}

    def alias(self, results: dict) -> dict:
        """Let the registry tell what serves, and how the canary ended."""
        client, version = self.registry(), str(results["register"]["version"])
        client.set_model_version_tag(MODEL, version, "canary", results["canary"]["verdict"])
        if results["canary"]["verdict"] == "promote":
            client.set_registered_model_alias(MODEL, "champion", version)
        return {}

    def ask_for(self, **release) -> None:
        save(self.folder / "release.json", json.dumps(release).encode())

    def registry(self):
        return registry(self.folder)


def registry(folder: Path):
    """A client of the registry in `folder`, made at the first call."""
    from mlflow import MlflowClient  # it takes seconds, and most Mondays end before

    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    address = f"sqlite:///{(folder / 'registry.db').as_posix()}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    if not client.search_registered_models(f"name='{MODEL}'"):
        client.create_registered_model(MODEL)
    return client


def retrain(folder: Path, day: str, kill_at: str = "") -> dict | None:
    """One run: the results, or None while it waits. Raises BlockingIOError if another run is at work.

    `kill_at`, such as "train:done", kills this process there with SIGKILL, which nobody can catch.
    """
    with (folder / "lock").open("w") as lock:
        # the kernel gives it back, however this process ends
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        retraining = Retraining(folder, day)

        def at(step: str, moment: str) -> None:
            if f"{step}:{moment}" == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            return run(retraining.steps, retraining.inputs, folder / "journal", at)
        except Waiting:
            return None


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("day", help="for example 2025-09-15")
    parser.add_argument(
        "--kill-at", default="", help="for drills: a step and before, done or writing, as train:done"
    )
    asked = parser.parse_args(words)
    results = retrain(asked.folder.resolve(), asked.day, asked.kill_at)
    sys.exit(WAITING if results is None else 0)


if __name__ == "__main__":
    main()

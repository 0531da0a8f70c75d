"""Who is where: counts which exercise those who agreed are at, and with which misconception. A service of the hub.

A kernel reports after each cell (reporter.py). Kept is, for each name, the last outcome of each exercise and how long it
was at each lab, in one file that the end of the class erases. Shown are counts; a name is shown only while its owner
raises a hand.
"""

import ast
import hashlib
import hmac
import html
import json
import os
import sqlite3
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAUSE = 20 * 60  # seconds without a cell are a break, and not work
ENOUGH = 5  # people make a median (scripts/workshop_plan.py)


def secret(hub):
    return (hub / "where.secret").read_bytes()


def token_for(hub, name):
    """What the kernels of `name` show: nobody can make another's."""
    return f"{name}:{hmac.new(secret(hub), name.encode(), hashlib.sha256).hexdigest()}"


def owner(hub, token):
    """Whose `token` it is; empty if nobody's."""
    name = token.partition(":")[0]
    return name if hmac.compare_digest(token_for(hub, name).encode(), token.encode()) else ""


@dataclass
class Cell:
    """A cell of a lab that may be reported: of a check, its exercise and its messages."""

    lab: str
    exercise: str = ""
    messages: tuple = ()
    last: bool = False  # the core ends here


def messages(source):
    """What the assertions of a check say, in their order, as far as it is known beforehand."""
    found = sorted(
        (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)),
        key=lambda node: node.lineno,
    )
    return tuple(
        "…"
        if node.msg is None
        else "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…"
            for part in (node.msg.values if isinstance(node.msg, ast.JoinedStr) else [node.msg])
        )
        for node in found
    )


def known_cells(labs=ROOT / "labs"):
    """{(lab, id): Cell} of all code cells that learners have, in the labs' order."""
    cells = {}
    for path in sorted(labs.glob("*.ipynb")):
        helpers = []  # of the next check
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            tags = cell["metadata"].get("tags", [])
            if "solution" in tags:
                helpers = []
            if cell["cell_type"] != "code" or {"glue", "solution"} & set(tags):
                continue
            if "remove-cell" in tags:
                helpers.append(source)
            known = Cell(path.stem, last=source.strip() == "summary()")
            if "self-check" in tags:
                known.exercise, known.messages = (
                    source.partition('check("')[2].partition('"')[0],
                    messages("\n".join([*helpers, source])),
                )
            cells[path.stem, cell["id"]] = known
    return cells


class Record:
    """What is known of the class, in the file `path`."""

    def __init__(self, path, cells):
        self.cells, self.path = cells, path
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript("""
            create table if not exists outcomes (name, exercise, outcome, primary key (name, exercise));
            create table if not exists times (name, lab, last, seconds, done, primary key (name, lab));
            create table if not exists hands (name primary key, since);
            create table if not exists withdrawn (name primary key);
        """)

    def ask(self, question, *values):
        return self.database.execute(question, values).fetchall()

    def take(self, name, report, now=time.time):
        """Keep a `report` of `name`. Raises ValueError for one that no kernel of ours has sent."""
        if not isinstance(report, dict) or report.keys() != {"lab", "cell", "outcome"}:
            raise ValueError("a report has a lab, a cell and an outcome")
        cell, outcome = self.cells.get((str(report["lab"]), str(report["cell"]))), report["outcome"]
        if cell is None:
            return  # one of the learner's own
        number = isinstance(outcome, int) and not isinstance(outcome, bool)
        possible = (number and 0 <= outcome <= len(cell.messages)) or outcome in ("open", "passed", None)
        if not possible or (outcome is not None and not cell.exercise):
            raise ValueError("this cell has no such outcome")
        if self.has_withdrawn(name):
            return
        if outcome is not None:
            self.ask("insert or replace into outcomes values (?, ?, ?)", name, cell.exercise, str(outcome))
        moment = now()
        known = self.ask("select last, seconds, done from times where name = ? and lab = ?", name, cell.lab)
        last, seconds, done = known[0] if known else (moment, 0, 0)
        if not done:
            passed = moment - last if moment - last < PAUSE else 0
            self.ask(
                "insert or replace into times values (?, ?, ?, ?, ?)",
                name, cell.lab, moment, seconds + passed, int(cell.last),
            )  # fmt: skip

    def has_withdrawn(self, name):
        return bool(self.ask("select 1 from withdrawn where name = ?", name))

    def withdraw(self, name):
        """Erase what is known of `name`, and take nothing more."""
        for table in ("outcomes", "times", "hands"):
            self.ask(f"delete from {table} where name = ?", name)
        self.ask("insert or replace into withdrawn values (?)", name)

    def agree(self, name):
        self.ask("delete from withdrawn where name = ?", name)

    def raise_hand(self, name):
        self.ask("insert or ignore into hands values (?, ?)", name, time.time())

    def lower_hand(self, name):
        self.ask("delete from hands where name = ?", name)

    def hands(self):
        """The names of those who raise a hand, the first one first."""
        return [name for (name,) in self.ask("select name from hands order by since")]

    def people(self):
        return self.ask("select count(distinct name) from times")[0][0]

    def counts(self):
        """{exercise: {"not tried": n, "open": n, number of a message: n, "passed": n}} of labs that somebody is at."""
        people, labs = self.people(), {lab for (lab,) in self.ask("select distinct lab from times")}
        table = {
            c.exercise: {"not tried": people} for c in self.cells.values() if c.exercise and c.lab in labs
        }
        for exercise, outcome, number in self.ask(
            "select exercise, outcome, count(*) from outcomes group by exercise, outcome"
        ):
            if exercise in table:
                table[exercise][outcome] = number
                table[exercise]["not tried"] -= number
        return table

    def minutes(self):
        """{lab: (people, median minutes)} of the labs whose core ENOUGH people brought to its end."""
        times = {}
        for lab, seconds in self.ask("select lab, seconds from times where done"):
            times.setdefault(lab, []).append(seconds / 60)
        return {
            lab: (len(found), round(statistics.median(found)))
            for lab, found in times.items()
            if len(found) >= ENOUGH
        }

    def erase(self):
        self.database.close()
        for path in self.path.parent.glob(self.path.name + "*"):
            path.unlink()


def table(record):
    """The class as HTML: exercises down, what was said across."""
    said = {cell.exercise: (cell.lab, cell.messages) for cell in record.cells.values() if cell.exercise}
    rows = []
    for exercise, counts in record.counts().items():
        lab, messages = said[exercise]
        wrong = [
            f"{number} × {html.escape(messages[int(place) - 1] if place != '0' else 'another fault')}"
            for place, number in sorted(counts.items())
            if place.isdigit()
        ]
        cells = [
            lab,
            exercise,
            counts["not tried"],
            counts.get("open", 0),
            "<br>".join(wrong),
            counts.get("passed", 0),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("Lab", "Exercise", "Not tried", "Open", "Was told", "Passed")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{refresh}
<meta name="viewport" content="width=device-width">
<style>body {{ font: 1.1rem/1.5 sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }} td, th {{ border-bottom: 1px solid #888; padding: .3rem; text-align: left; vertical-align: top }}
button {{ font: inherit; padding: .4rem 1rem; margin: .3rem 0 }}</style></head><body><h1>{title}</h1>{body}</body></html>"""


def for_instructor(record):
    hands = ", ".join(map(html.escape, record.hands())) or "none"
    body = f"<p>Raised hands: <strong>{hands}</strong></p><p>{record.people()} of the class are counted.</p>{table(record)}"
    return PAGE.format(
        title="Where the class is", body=body, refresh='<meta http-equiv="refresh" content="10">'
    )


def for_learner(record, name, xsrf):
    up, out = name in record.hands(), record.has_withdrawn(name)
    buttons = [
        ("lower", "Lower my hand") if up else ("raise", "Raise my hand: the instructor sees my name"),
        ("agree", "Count me again") if out else ("withdraw", "Don't count me, and erase what was kept of me"),
    ]
    forms = "".join(
        f'<form method="post">{xsrf}<button name="do" value="{do}">{label}</button></form>'
        for do, label in buttons
    )
    return PAGE.format(title="You and the class", body=forms, refresh="")


def main():
    from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
    from tornado import httpserver, ioloop, web
    from tornado.escape import to_unicode

    settings = json.loads(Path(os.environ["CLASS_SETTINGS"]).read_text(encoding="utf-8"))
    hub = Path(settings["class"]) / "hub"
    record = Record(hub / "where.sqlite", known_cells())
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]

    class Report(web.RequestHandler):
        def check_xsrf_cookie(self):
            pass  # no browser sends this: it needs the kernel's token

        def post(self):
            name = owner(hub, self.request.headers.get("Authorization", "").removeprefix("token "))
            if name not in settings["uids"]:
                raise web.HTTPError(403)
            try:
                record.take(name, json.loads(self.request.body))
            except ValueError as error:
                raise web.HTTPError(400, str(error)) from None
            self.set_status(204)

    class Page(HubOAuthenticated, web.RequestHandler):
        @web.authenticated
        def get(self):
            name = self.current_user["name"]
            if name in settings["instructors"]:
                self.finish(for_instructor(record))
            else:
                self.finish(for_learner(record, name, to_unicode(self.xsrf_form_html())))

        @web.authenticated
        def post(self):
            name = self.current_user["name"]
            deeds = {
                "raise": record.raise_hand,
                "lower": record.lower_hand,
                "withdraw": record.withdraw,
                "agree": record.agree,
            }
            deed = deeds.get(self.get_body_argument("do"))
            if deed is None:
                raise web.HTTPError(400)
            deed(name)
            self.redirect(prefix)

    application = web.Application(
        [(prefix, Page), (prefix + "report", Report), (prefix + "oauth_callback", HubOAuthCallbackHandler)],
        cookie_secret=os.urandom(32),
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"path": prefix, "secure": True, "httponly": True},
    )
    server = httpserver.HTTPServer(application, max_buffer_size=100_000)
    server.listen(settings["ports"]["where"], "127.0.0.1")
    ioloop.IOLoop.current().start()


if __name__ == "__main__":
    main()

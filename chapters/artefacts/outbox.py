"""A till's outbox and the ledger it writes to: each decision counts once and in the till's
order, whatever the line does.

The till keeps a decision with its number in one transaction and sends it until it is
acknowledged; the ledger knows what it has by (till, life, number). A life is drawn when the
till's file is made: a replaced disk starts at number 1 again, and without it its first
decisions would pass for copies of the old ones.
"""

import json
import sqlite3
import uuid


class Outbox:
    """What one till has decided and not yet seen acknowledged; survives a crash, as its
    file does."""

    def __init__(self, path, till):
        self.till, self.file = till, sqlite3.connect(path)
        with self.file:
            self.file.execute("CREATE TABLE IF NOT EXISTS life (name TEXT)")
            columns = "number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT"
            self.file.execute(f"CREATE TABLE IF NOT EXISTS decisions ({columns})")
            if not self.file.execute("SELECT 1 FROM life").fetchone():
                self.file.execute("INSERT INTO life VALUES (?)", (uuid.uuid4().hex,))
        (self.life,) = self.file.execute("SELECT name FROM life").fetchone()

    def decide(self, decision):
        """Keep a decision (dict) before anybody acts on it."""
        with self.file:
            body = json.dumps(decision, sort_keys=True)
            self.file.execute("INSERT INTO decisions (body) VALUES (?)", (body,))

    def waiting(self):
        """Messages (till, life, number, body) to send, oldest first; twice does no harm."""
        rows = self.file.execute("SELECT number, body FROM decisions ORDER BY number")
        return [(self.till, self.life, *row) for row in rows]

    def acknowledged(self, life, number):
        """Forget what the ledger has up to `number`; an answer to an earlier life is
        none."""
        if life == self.life:
            with self.file:
                self.file.execute("DELETE FROM decisions WHERE number <= ?", (number,))

    def close(self):
        self.file.close()


class Ledger:
    """What all tills have decided, as far as it has arrived without a gap."""

    def __init__(self, path):
        self.file = sqlite3.connect(path)
        with self.file:
            columns = "till, life, number, body, PRIMARY KEY (till, life, number)"
            self.file.execute(f"CREATE TABLE IF NOT EXISTS arrived ({columns})")
            columns = "till, life, upto, PRIMARY KEY (till, life)"
            self.file.execute(f"CREATE TABLE IF NOT EXISTS complete ({columns})")

    def receive(self, till, life, number, body):
        """Keep a message; acknowledge with (life, number) up to which nothing is
        missing."""
        with self.file:
            self.file.execute("INSERT OR IGNORE INTO arrived VALUES (?, ?, ?, ?)", (till, life, number, body))
            if self.body(till, life, number) != body:
                raise ValueError(f"till {till}: two decisions under number {number}, a copied disk?")
            upto = self.upto(till, life)
            while self.body(till, life, upto + 1) is not None:  # each number is passed once in a life
                upto += 1
            self.file.execute("INSERT OR REPLACE INTO complete VALUES (?, ?, ?)", (till, life, upto))
        return life, upto

    def body(self, *key):
        row = self.file.execute("SELECT body FROM arrived WHERE (till, life, number) = (?, ?, ?)", key)
        return next(row, (None,))[0]

    def upto(self, *key):
        row = self.file.execute("SELECT upto FROM complete WHERE (till, life) = (?, ?)", key)
        return next(row, (0,))[0]

    def decisions(self, till, life):
        """The decisions of a till's life, in its order, up to the first that is missing."""
        rows = self.file.execute(
            "SELECT body FROM arrived WHERE (till, life) = (?, ?) AND number <= ? ORDER BY number",
            (till, life, self.upto(till, life)),
        )
        return [json.loads(body) for (body,) in rows]

    def close(self):
        self.file.close()

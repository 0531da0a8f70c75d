"""Who may come in: one code for each name, once, and from then on the password that its owner chose.

The roll is one file. Of a password it keeps what scrypt makes of it (RFC 7914); of a code the code itself, until it is
used, so that the same slips of paper hold after a restart. Standard library only.
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
import time

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another when it is read from paper
COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}  # 32 MiB and a tenth of a second for each guess
SHORTEST = 10  # characters
GUESSES, PAUSE = 5, 60  # so many wrong passwords for a name from one address, then so many seconds of silence
COMMON = "password passwort passphrase letmein welcome iloveyou changeme secret admin jupyter jupyterhub workshop".split()
RUNS = (
    "01234567890" * 3,
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)


class Refused(Exception):
    """Nobody comes in; the message says to the learner why."""


def weakness(name, password):
    """What is wrong with `password` for `name`: a sentence, or nothing."""
    if len(password) < SHORTEST:
        return f"Choose a password of at least {SHORTEST} characters: three words are easy to remember."
    small = password.lower()
    rest = re.sub(r"[\W\d_]", "", small)
    easy = (
        len(set(small)) < 5
        or (len(name) > 2 and name in small)  # `e` is in most sentences
        or rest in (*COMMON, *(2 * word for word in COMMON))
        or any(part in run or part[::-1] in run for run in RUNS for part in (small, rest) if len(part) > 5)
        or (len(rest) < 5 and any(run in small for run in ("12345", "54321")))
    )
    if easy:
        return "This password is easy to guess: choose three words that have nothing to do with your name."
    return ""


def scrypt(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, **COST).hex()


class Roll:
    """The names in the file `path` and what each needs to come in; names that are new get a code."""

    def __init__(self, path, names):
        self.path, self.failures, self.writing = path, {}, threading.Lock()
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.entries = {name: known.get(name) or self.new() for name in names}
        if self.entries != known:
            self.write()

    @staticmethod
    def new():
        letters = "".join(secrets.choice(LETTERS) for _ in range(12))
        return {"code": "-".join((letters[:4], letters[4:8], letters[8:]))}

    def write(self):
        part = self.path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(self.entries, indent=1), encoding="utf-8")
        part.replace(self.path)

    def codes(self):
        """{name: code} of those who were never here."""
        return {name: entry["code"] for name, entry in self.entries.items() if "code" in entry}

    def forget(self, name):
        """Forget the password of `name`, who gets a new code."""
        self.entries[name] = self.new()
        self.write()

    def try_once(self, name, address, now):
        """Count a guess before it is looked at, so that guesses side by side count as well; return what to forget it by.

        It counts for an address, so that nobody elsewhere is kept out by it, and the same for a name that isn't on the list.
        """
        with self.writing:
            for key in [key for key, moments in self.failures.items() if now - moments[-1] >= PAUSE]:
                del self.failures[key]
            key = (name[:40], address)
            tried = [moment for moment in self.failures.get(key, []) if now - moment < PAUSE]
            if len(tried) >= GUESSES:
                raise Refused("Too many wrong passwords for this name: wait a minute.")
            self.failures[key] = [*tried, now]
        return key

    def admit(self, name, password, code, now=time.monotonic, address=""):
        """Let `name` in, or raise Refused. Who comes for the first time sets `password`, with the `code`."""
        entry = self.entries.get(name)
        key = self.try_once(name, address, now())
        salt = bytes.fromhex(entry["salt"]) if entry and "salt" in entry else secrets.token_bytes(16)
        made = scrypt(
            password, salt
        )  # also for who isn't on the list, which nobody shall learn from the time it takes
        if entry and "hash" in entry:
            right = hmac.compare_digest(made, entry["hash"])
        else:
            expected = entry["code"] if entry else secrets.token_hex()
            right = hmac.compare_digest(code.strip().lower().encode(), expected.encode())
        if not right:
            raise Refused("Name, password or code is wrong.")
        if "code" in entry:
            if wrong := weakness(name, password):
                self.failures.pop(key, None)
                raise Refused(wrong)
            with self.writing:
                if self.entries[name] is not entry:  # somebody used the code meanwhile
                    raise Refused("Name, password or code is wrong.")
                self.entries[name] = {"salt": salt.hex(), "hash": made}
                self.write()
        self.failures.pop(key, None)

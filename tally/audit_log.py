"""An append-only log that its readers can check: a Merkle tree over the entries, signed heads, sealed inputs.

Tree and proofs are those of RFC 6962 (section 2.1, unchanged in RFC 9162), with SHA-256. A head is a checkpoint,
a signed note as C2SP describes it, so that witnesses of other logs can read it. Nothing here keeps a key.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ORIGIN = "tally.example/decisions"
ED25519 = b"\x01"  # the kind of key, as signed notes number them


def leaf(entry: bytes) -> bytes:
    """The hash of an entry. Its first byte differs from a node's, so that neither passes for the other."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """How many of `size` leaves (two or more) stand in the left subtree: the largest power of two below."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over the hashes `leaves`."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    left = split(len(leaves))
    return node(root(leaves[:left]), root(leaves[left:]))


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """What somebody needs beside leaf `index` (from 0) to compute the root; the lowest neighbour first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    left = split(len(leaves))
    if index < left:
        return [*inclusion(index, leaves[:left]), root(leaves[left:])]
    return [*inclusion(index - left, leaves[left:]), root(leaves[:left])]


def consistency(size: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """What somebody with the root of the first `size` leaves (one or more) needs to compute the root of all."""
    if not 0 < size <= len(leaves):
        raise IndexError(f"{size} of {len(leaves)} leaves")
    if size == len(leaves):
        return [] if whole else [root(leaves)]
    left = split(len(leaves))
    if size <= left:
        return [*consistency(size, leaves[:left], whole), root(leaves[left:])]
    return [*consistency(size - left, leaves[left:], False), root(leaves[:left])]


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` stands at `index` in the tree of `size` leaves with that `root`."""
    try:
        return 0 <= index < size and climb(leaf, index, size, list(proof)) == root
    except ValueError:  # too many hashes, or too few
        return False


def climb(leaf, index, size, proof):
    if size == 1:
        () = proof
        return leaf
    *below, neighbour = proof
    left = split(size)
    if index < left:
        return node(climb(leaf, index, left, below), neighbour)
    return node(neighbour, climb(leaf, index - left, size - left, below))


def extends(old: "Head", new: "Head", proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the log of `new` begins with all that the log of `old` held, unchanged."""
    if old.size == 0:
        return not proof
    try:
        return old.size <= new.size and both(old.size, new.size, list(proof), old.root) == (
            old.root,
            new.root,
        )
    except ValueError:
        return False


def both(size, total, proof, known, whole=True):
    """The roots of the first `size` and of all `total` leaves, as `proof` has them."""
    if size == total:
        if whole:
            () = proof
            return known, known
        (found,) = proof
        return found, found
    *below, neighbour = proof
    left = split(total)
    if size <= left:
        old, new = both(size, left, below, known, whole)
        return old, node(new, neighbour)
    old, new = both(size - left, total - left, below, known, False)
    return node(neighbour, old), node(neighbour, new)


@dataclass(frozen=True)
class Head:
    """What a log says of itself at one moment: how many entries it has, and the root of their tree."""

    size: int
    root: bytes

    def text(self) -> str:
        return f"{ORIGIN}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(public: Ed25519PublicKey, name: str) -> bytes:
    """The four bytes by which a signature says which key made it."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public.public_bytes_raw()).digest()[:4]


def sign(text: str, key: Ed25519PrivateKey, name: str = ORIGIN) -> str:
    """`text`, which ends in a line feed, as a note signed by `name`."""
    signature = key_id(key.public_key(), name) + key.sign(text.encode())
    return f"{text}\n\u2014 {name} {base64.b64encode(signature).decode()}\n"


def opened(note: str, public: Ed25519PublicKey, name: str = ORIGIN) -> str:
    """The text of a note if `name` signed it with this key, else ValueError."""
    text, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        if line.startswith(start := f"\u2014 {name} "):
            signature = base64.b64decode(line.removeprefix(start), validate=True)
            if signature[:4] == key_id(public, name):
                try:
                    public.verify(signature[4:], f"{text}\n".encode())
                    return f"{text}\n"
                except InvalidSignature:
                    break
    raise ValueError(f"not signed by {name}")


def read_head(note: str, public: Ed25519PublicKey) -> Head:
    """The head in a signed note, or ValueError if Tally's log did not sign it."""
    origin, size, digest, *_ = opened(note, public).splitlines()
    if origin != ORIGIN:
        raise ValueError(f"a head of {origin}")
    return Head(int(size), base64.b64decode(digest, validate=True))


def entry(decision: str, sealed: bytes) -> bytes:
    """One entry: the line of a decision (`tally.decision_log.line`) and what it was decided on, sealed."""
    return json.dumps(
        {"decision": json.loads(decision), "sealed": base64.b64encode(sealed).decode()}
    ).encode()


def seal(inputs: dict, key: bytes, application_id: int) -> bytes:
    """`inputs` under the customer's own key (AES-256-GCM), bound to one application."""
    nonce = os.urandom(12)  # never twice with one key
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(inputs).encode(), str(application_id).encode())


def unseal(sealed: bytes, key: bytes, application_id: int) -> dict:
    """The inputs again, to the bit. Raises cryptography's InvalidTag for another key, application or content."""
    return json.loads(AESGCM(key).decrypt(sealed[:12], sealed[12:], str(application_id).encode()))

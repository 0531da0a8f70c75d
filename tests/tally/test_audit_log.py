"""The log against the vectors of other people's implementations, and against whoever changes it."""

import base64

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tally import audit_log
from tally.audit_log import Head, consistency, extends, included, inclusion, leaf, node, root

# google/certificate-transparency, python/ct/crypto/merkle_test.py
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        bytes(range(0x60, 0x70)).hex(),
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in """
6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328""".split()
]
FROM_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
LEAVES = [leaf(entry) for entry in ENTRIES]


def test_the_roots_are_those_of_certificate_transparency():
    assert root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [root(LEAVES[:size]) for size in range(1, 9)] == ROOTS
    assert [proof.hex() for proof in consistency(6, LEAVES)] == FROM_6_TO_8


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_every_small_tree_holds_and_no_other(size):
    leaves = [leaf(bytes([number])) for number in range(size)]
    top = root(leaves)
    for index, one in enumerate(leaves):
        proof = inclusion(index, leaves)
        assert included(one, index, size, proof, top)
        assert not included(leaf(b"other"), index, size, proof, top)
        assert not included(one, index, size, [*proof, top], top) and not included(one, -1, size, proof, top)
        assert not included(one, index, size, proof[:-1], top) or size == 1
        assert not any(included(one, other, size, proof, top) for other in range(size) if other != index)
    for old in range(1, size + 1):
        proof, before = consistency(old, leaves), Head(old, root(leaves[:old]))
        assert extends(before, Head(size, top), proof)
        assert not extends(before, Head(size, leaf(b"other")), proof)
        assert not extends(Head(old, leaf(b"other")), Head(size, top), proof)
        assert not extends(before, Head(size, top), [*proof, top])
        assert not proof or not extends(before, Head(size, top), proof[1:])
        assert old == size or not extends(Head(size, top), before, proof), "no log gets shorter"


def test_a_node_is_no_leaf():
    left, right = LEAVES[:2]
    assert root([leaf(left + right)]) != root(LEAVES[:2]) == node(left, right)


def test_notes_are_those_of_the_go_checksum_database():
    """The example of golang.org/x/mod/sumdb/note."""
    name, _, key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signed = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = f"{text}\n\u2014 {name} {signed}\n"
    assert audit_log.opened(note, public, name) == text
    with pytest.raises(ValueError, match="not signed"):
        audit_log.opened(note.replace("answer", "cause"), public, name)


def test_a_head_is_read_only_from_whoever_signed_it():
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    head = Head(8, ROOTS[-1])
    note = audit_log.sign(head.text(), key)
    assert audit_log.read_head(note, key.public_key()) == head
    for wrong in (note.replace("\n8\n", "\n7\n"), audit_log.sign(head.text(), other), head.text()):
        with pytest.raises(ValueError, match="not signed"):
            audit_log.read_head(wrong, key.public_key())
    cosigned = audit_log.sign(head.text(), other) + note.rpartition("\n\n")[2]  # after a change of keys
    assert audit_log.read_head(cosigned, key.public_key()) == head
    elsewhere = audit_log.sign(head.text().replace("tally", "other"), key)
    with pytest.raises(ValueError, match="a head of"):
        audit_log.read_head(elsewhere, key.public_key())


def test_what_is_sealed_comes_back_to_the_bit_or_not_at_all():
    key, inputs = AESGCM.generate_key(256), {"basket": 0.1 + 0.2, "income": 31_000}
    sealed = audit_log.seal(inputs, key, 7)
    assert audit_log.unseal(sealed, key, 7) == inputs
    assert sealed != audit_log.seal(inputs, key, 7), "equal inputs look different"
    for wrong in ((sealed, AESGCM.generate_key(256), 7), (sealed, key, 8), (sealed[:-1] + b"\0\0", key, 7)):
        with pytest.raises(InvalidTag):
            audit_log.unseal(*wrong)

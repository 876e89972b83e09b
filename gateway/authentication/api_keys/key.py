"""What an API key looks like: `gh_<id>_<secret><checksum>`, and nothing else is one.

The id is no secret: it is what operators and backends call the key. The checksum lets everybody,
this gateway and scanners of repositories alike, tell a key from other text without asking.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "gh_"
# Crockford's letters: none is taken for another when an id is read out. 60 bits.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = 12
# 32 of 62 characters: 190 bits.
_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET = 32

_form = re.compile(rf"{PREFIX}([{_LETTERS}]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET}}}([0-9a-f]{{8}})")


def new_id() -> str:
    """An id that no other key has, as far as chance goes."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_ID))


def new_key(key_id: str) -> str:
    """A key of this id with a secret that was never used."""
    secret = "".join(secrets.choice(_CHARACTERS) for _ in range(_SECRET))
    text = f"{PREFIX}{key_id}_{secret}"
    return text + _checksum(text)


def id_of(text: str) -> str | None:
    """The id in a key; None for text that no gateway made as a key."""
    match = _form.fullmatch(text)
    if match is None or _checksum(text[:-8]) != match[2]:
        return None
    return match[1]


def digest_of(key: str) -> bytes:
    """What is kept of a key. One round of SHA-256 is enough, unlike for passwords: nobody can go
    through 2**190 secrets, however fast the hash is."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"

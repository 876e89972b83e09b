"""Signatures of webhooks, as Standard Webhooks 1.0 has them: HMAC-SHA-256 over id, time and body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
# What the specification permits, in bytes.
_SHORTEST, _LONGEST = 24, 64


def new_secret() -> str:
    """A secret that was never used: 256 bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that `whsec_...` stands for. Raises ValueError without repeating the text."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"must be {PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64")
    return key


def signed_fields(
    event: str, moment: int, body: bytes, keys: Sequence[bytes]
) -> list[tuple[str, str]]:
    """The fields of a webhook with a signature of each key. moment: seconds since the epoch, when
    it is sent: partners refuse what is old, as it may be a replay."""
    content = b"%s.%d.%s" % (event.encode(), moment, body)
    signatures = (hmac.digest(key, content, hashlib.sha256) for key in keys)
    return [
        ("webhook-id", event),
        ("webhook-timestamp", str(moment)),
        ("webhook-signature", " ".join(f"v1,{base64.b64encode(s).decode()}" for s in signatures)),
    ]

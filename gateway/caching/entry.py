"""What is kept under a key: an answer, the fields that answers differ by, or that none is kept."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.exchange import Headers

# Raise it when the layout changes: what older workers kept is then no answer.
_LAYOUT = 2
_HEAD = struct.Struct("<BcI")
# What is told of an answer before its fields, in this order.
_TOLD = (
    *("status", "reason", "at", "age", "lifetime", "while_revalidating", "if_error"),
    *("always_ask", "origin", "base", "version", "tags", "etag", "modified"),
)


@dataclass(slots=True)  # not frozen, since that would triple what it costs to make one
class Entry:
    """A complete answer; nobody changes it, as all requests share it. Times are seconds; `at` is
    the wall time when its head came, or when it was last found to be still good.

    headers: the upstream's, less those of one message (hop-by-hop, Age, Content-Length, what caches
    say). origin, base, version: as of the UpstreamResponse it came by. age: how old it was at `at`.
    lifetime: the age up to which it is fresh. while_revalidating, if_error: for how much longer it
    may be used while it is asked for anew, and where asking fails (RFC 5861); 0 not at all.
    always_ask: it is never used without asking, however fresh (no-cache). tags: what it can be
    purged by; a 304 need not say them again.
    """

    status: int
    reason: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    at: float
    age: float
    lifetime: float
    while_revalidating: float = 0.0
    if_error: float = 0.0
    always_ask: bool = False
    origin: str = ""
    base: str = ""
    version: str = "1.1"
    tags: tuple[str, ...] = ()
    etag: str = field(init=False, compare=False, default="")
    modified: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        for name, value in self.headers:
            lower = name.lower()
            if lower == "etag":
                self.etag = value
            elif lower == "last-modified":
                self.modified = value

    def age_at(self, now: float) -> float:
        """How old it is. One that came at a time which is still to be, because the clock was set
        back, is as old as that is far: else it would be fresh until that time, and longer."""
        return self.age + abs(now - self.at)


@dataclass(frozen=True, slots=True)
class Variants:
    """Answers differ by these request fields: each is kept under a key of its own (section 4.1).
    names: in lower case, sorted."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """Answers are not kept; until this wall time nobody waits for another's."""

    until: float


Kept = Entry | Variants | Passed


def encode(kept: Kept) -> bytes:
    """What is kept as bytes."""
    told: list[object]
    kind, body = b"p", b""
    if isinstance(kept, Entry):
        kind, body = b"e", kept.body
        told = [getattr(kept, name) for name in _TOLD]
        told += [[name for name, _ in kept.headers], [value for _, value in kept.headers]]
    elif isinstance(kept, Variants):
        kind, told = b"v", list(kept.names)
    else:
        told = [kept.until]
    head = orjson.dumps(told)
    return b"".join((_HEAD.pack(_LAYOUT, kind, len(head)), head, body))


def decode(data: bytes) -> Kept:
    """What the bytes mean. Raises ValueError for what `encode` did not make."""
    try:
        layout, kind, size = _HEAD.unpack_from(data)
        if layout != _LAYOUT:
            raise ValueError(f"layout {layout} is not known")
        body = _HEAD.size + size
        told = orjson.loads(data[_HEAD.size : body])
        if kind == b"e":
            return _entry(told, data[body:])
        if kind == b"v":
            return Variants(tuple(told))
        if kind == b"p":
            return Passed(*told)
        raise ValueError(f"kind {kind!r} is not known")
    except (struct.error, TypeError, IndexError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _entry(told: list[Any], body: bytes) -> Entry:
    """An answer as it was kept: what was found in its fields need not be looked for again. Raises
    TypeError for texts that are none, and times."""
    entry = Entry.__new__(Entry)
    (
        entry.status, entry.reason, entry.at, entry.age, entry.lifetime,
        entry.while_revalidating, entry.if_error, entry.always_ask,
        entry.origin, entry.base, entry.version, tags, entry.etag, entry.modified,
        names, values,
    ) = told  # fmt: skip
    "".join((entry.reason, entry.etag, entry.modified, *names, *values, *tags))
    math.fsum((entry.at, entry.age, entry.lifetime, entry.while_revalidating, entry.if_error))
    entry.tags = tuple(tags)
    entry.headers = list(zip(names, values, strict=True))
    entry.body = body
    return entry

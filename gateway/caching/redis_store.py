"""Answers in Redis: shared by machines, changed by scripts inside Redis."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import redis

from gateway.caching.names import as_bytes, group_of, kept_tags, path_of
from gateway.caching.store import OUTCOME_SECONDS, OUTCOMES, Found, Outcome, Purge, Ticket
from gateway.state.redis_client import redis_client

#: Their books; all keys begin with it. One hash tag, so that they are on one node of a cluster.
HASH = "{gatehouse}:responses"
#: How many names are looked at in one call: Redis does nothing else meanwhile, for milliseconds.
SLICE = 500
#: What Redis takes for an answer, and for each of its names, beside their texts; in bytes.
_OVERHEAD, _NAME = 500, 120
_CONNECTIONS = 16
_WORD = 8

# KEYS: the books, what is kept. ARGV: the stamp that is known, the key. Answers that stamp if it is
# still the one, or all that is kept; nothing; or 0 if what is left of an answer is to be dropped.
_READ = """
local word = redis.call('HGET', KEYS[1], 'i')
local head = redis.call('GETRANGE', KEYS[2], 0, 15)
if word and string.sub(head, 1, 8) == word then
  if string.sub(head, 9) == ARGV[1] then return ARGV[1] end
  return redis.call('GET', KEYS[2])
end
if head ~= '' or redis.call('HEXISTS', KEYS[1], 'k' .. ARGV[2]) == 1 then return 0 end
return false
"""
# KEYS: the claim. ARGV: who asks, for how many milliseconds. Answers whether it is his; yes without
# a claim if Redis is full.
_CLAIM = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
local done = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if done.err and not string.find(done.err, 'OOM', 1, true) then return done end
return 1
"""
# KEYS: the claim, how it ended. ARGV: who asked, how it ended, for how many milliseconds that is
# kept. What comes after UNLINK is not refused for want of memory.
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('UNLINK', KEYS[1])
if ARGV[2] ~= 'again' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
"""
# KEYS: the same. ARGV: for how many milliseconds an outcome is kept, and which count. Answers how
# it ended; nothing while somebody asks.
_OUTCOME = """
local ended = redis.call('GET', KEYS[2])
if ended and ARGV[1] - redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then return ended end
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
return 'again'
"""
_KEPT_FOR = int(OUTCOME_SECONDS * 1000)


class RedisResponses:
    """See ResponseStore. In the Redis at `url`; `timeout` bounds connecting and every answer, in
    seconds; `size` is the most that answers may take there, in bytes, with their names and books.

    An answer is kept for a day at most, and until Redis starts anew. Redis may drop any of it to
    have room: that is a miss, and once it dropped the books, a miss of everything. Raises
    redis.RedisError when Redis cannot be asked; any call may be repeated. One is one round trip,
    but for purges of many, writes that need the room of many, and connecting.
    """

    def __init__(self, url: str, timeout: float, size: int, lag: float = 0.5) -> None:
        self.lag = lag
        self._size = size
        script = (Path(__file__).parent / "responses.lua").read_text()
        client = redis_client(url, timeout, _CONNECTIONS, partial(_begin_with_its_run, script))
        self._client = client
        self._look = client.register_script(_READ)
        self._claim = client.register_script(_CLAIM)
        self._release = client.register_script(_RELEASE)
        self._outcome = client.register_script(_OUTCOME)
        self._script = client.register_script(script)

    def _do(self, what: str, *told: bytes | str | int, kept: Sequence[bytes] = ()) -> Any:
        return self._script(keys=[HASH, f"{HASH}:names", *kept], args=[what, *told])

    def read(self, key: bytes, known: bytes = b"") -> Found | None:
        """See ResponseStore.read."""
        told: bytes | int | None = self._look(keys=[HASH, _kept(key)], args=[known, key])
        if told is None:
            return None
        if isinstance(told, int):
            self.drop(key)
            return None
        if told == known:
            return Found(known, None)
        return Found(told[_WORD : 2 * _WORD], told[2 * _WORD :])

    def ticket(self, url: str) -> Ticket:
        """See ResponseStore.ticket."""
        word, purges = self._do("ticket", os.urandom(_WORD), group_of(as_bytes(url)))
        return Ticket(word + purges)

    def write(
        self, key: bytes, data: bytes, *, url: str, tags: Sequence[str], ticket: Ticket
    ) -> bytes | None:
        """See ResponseStore.write."""
        named = [as_bytes(url), *kept_tags(tags)]
        size = len(data) + _OVERHEAD + sum([_NAME + 2 * len(name) for name in named])
        if size > self._size:
            return None
        word, purges = ticket.seen[:_WORD], ticket.seen[_WORD:]
        stamp = os.urandom(8)
        value = b"".join((word, stamp, data))
        told = (word, purges, group_of(named[0]), size, self._size)
        written, more = self._do("write", key, value, *told, *named, kept=[_kept(key)])
        while more and written:
            more = self._do("evict", self._size, SLICE)
        return stamp if written else None

    def drop(self, key: bytes) -> None:
        """See ResponseStore.drop."""
        self._do("forget", key)

    def purge(self, purge: Purge) -> int:
        """See ResponseStore.purge. Of all: nothing is found any more at once. Otherwise, where
        there is much, it is hidden first, in less than a quarter of the time that dropping it
        takes. Who repeats it after an error goes on where it ended."""
        group = {"all": "all", "prefix": "any", "tag": "any"}.get(purge.kind)
        group = group or str(group_of(as_bytes(purge.what)))
        ranges = _ranges(purge)
        dropped, *looked = self._do("purge", os.urandom(_WORD), group, SLICE, *chain(*ranges))
        if SLICE in looked and purge.kind != "all":
            dropped += sum(self._hide(*one) for one in ranges)
        while SLICE in looked:
            ranges = [each for each, count in zip(ranges, looked, strict=True) if count == SLICE]
            some, *looked = self._do("sweep", SLICE, *chain(*ranges))
            dropped += some
        return int(dropped)

    def _hide(self, first: bytes, last: bytes) -> int:
        """How many there were."""
        hidden, after = 0, first
        while after:
            count, name = self._do("hide", SLICE, after, last)
            hidden += count
            after = b"(" + name if name else b""
        return hidden

    def claim(self, key: bytes, owner: bytes, seconds: float) -> bool:
        """See ResponseStore.claim. Everybody may ask if Redis is full."""
        milliseconds = max(int(seconds * 1000), 1)
        return bool(self._claim(keys=[_claim(key)], args=[owner, milliseconds]))

    def release(self, key: bytes, owner: bytes, outcome: Outcome) -> None:
        """See ResponseStore.release."""
        self._release(keys=[_claim(key), _ended(key)], args=[owner, outcome, _KEPT_FOR])

    def outcome(self, key: bytes, waited: float) -> Outcome | None:
        """See ResponseStore.outcome."""
        args = [_KEPT_FOR, int(waited * 1000)]
        told = self._outcome(keys=[_claim(key), _ended(key)], args=args)
        return None if told is None else OUTCOMES.get(told, "again")

    def usage(self) -> tuple[int, int]:
        """See ResponseStore.usage."""
        count, size = self._client.hmget(HASH, "count", "bytes")
        return int(count or 0), int(size or 0)


def _begin_with_its_run(script: str, connection: Any) -> None:
    """Have nothing used that is from before Redis started: it may have forgotten purges. Where
    INFO is not allowed that cannot be told."""
    try:
        run = _told(connection, "INFO", "server").partition(b"run_id:")[2].split()[0]
    except (redis.ResponseError, IndexError):
        return
    books = (2, HASH, f"{HASH}:names")
    _told(connection, "EVAL", script, *books, "run", os.urandom(_WORD), run)


def _told(connection: Any, *command: bytes | str | int) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _kept(key: bytes) -> bytes:
    return b"%s:kept:%s" % (HASH.encode(), key)


def _claim(key: bytes) -> bytes:
    return b"%s:claim:%s" % (HASH.encode(), key)


def _ended(key: bytes) -> bytes:
    return b"%s:ended:%s" % (HASH.encode(), key)


def _ranges(purge: Purge) -> list[tuple[bytes, bytes]]:
    """From where to where (not included) the names lie that a purge means, in alphabetical order.
    A name is followed by a NUL, and holds none."""
    what = as_bytes(purge.what)
    if purge.kind == "tag":
        return [_from(b"t", what + b"\0")]
    if purge.kind == "url":
        return [_from(b"u", what + b"\0")]
    if purge.kind == "path":
        if path_of(what) != what:
            return []
        return [_from(b"u", what + b"\0"), _from(b"u", what + b"?")]
    return [_from(b"u", what if purge.kind == "prefix" else b"")]


def _from(kind: bytes, begin: bytes) -> tuple[bytes, bytes]:
    """All that begins so. No text ends with a byte that has none after it."""
    first = kind + begin
    return b"[" + first, b"(" + first[:-1] + bytes((first[-1] + 1,))

"""What the workers of several machines tell each other, through Redis.

One hash holds everything. Each worker reads from a copy of its own, renewed at every beat, so that
no request waits for Redis to learn what others found; a change is one round trip.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import orjson
import redis

from gateway.state.redis_client import redis_client
from gateway.state.shared import Edit, Value

HASH = "{gatehouse}:state"
#: Where the number of the last change is kept. Numbers begin with the time in microseconds: those
#: of a Redis that lost everything are higher, too.
_NUMBER = "#"
#: A copy that nobody renewed for so long is renewed by whoever reads.
STALE = 2.0
#: Two beats: one until the other worker has told, one until this one has looked.
LAG = 0.5
_CONNECTIONS = 4
#: Tries to change something: who lost that many of them takes a turn, in which all others lose.
_TRIES, _PATIENT = 100, 5
#: Seconds between two looks whether another's turn is over; one that died has had it for 0.05.
_MOMENT = 0.002
#: What was stored begins with a word unique to the change that stored it.
_UNIQUE = 16

# ARGV: the number known. Answers the time, the number now, and, if it is another one, all fields.
_LOOK = """
local time = redis.call('TIME')
local number = redis.call('HGET', KEYS[1], '#') or '0'
if number == ARGV[1] then return {time[1], time[2], number} end
return {time[1], time[2], number, redis.call('HGETALL', KEYS[1])}
"""
# KEYS: the hash, whose turn it is. ARGV: field, what is expected there, what to put there (empty:
# nothing), a word for the caller, whether to take the turn. Answers 1 and the number; or 0, the
# number and what is there instead. Sent twice, it changes once.
_CHANGE = """
local known = redis.call('HGET', KEYS[1], '#')
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local turn = redis.call('GET', KEYS[2])
local done = current ~= '' and current == ARGV[3] and current ~= ARGV[2]
if not done and (current ~= ARGV[2] or (turn and turn ~= ARGV[4])) then
  if ARGV[5] == '1' then redis.call('SET', KEYS[2], ARGV[4], 'NX', 'PX', 50) end
  return {0, known or '0', current}
end
if turn == ARGV[4] then redis.call('DEL', KEYS[2]) end
if current == ARGV[3] then return {1, known or '0'} end
if not known then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], '#', string.format('%d%06d', time[1], time[2]))
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return {1, string.format('%.0f', redis.call('HINCRBY', KEYS[1], '#', 1))}
"""


class RedisState:
    """Shared state in the Redis at `url`; `timeout` bounds connecting and every answer, in seconds.
    `key` is the hash that holds it.

    `get` and `scan` read this worker's own copy. They wait for Redis only where there is none yet,
    or where nobody called `refresh` for STALE seconds. Raises redis.RedisError when Redis cannot
    be asked, or when a change lost against others too often.
    """

    lag = LAG

    def __init__(
        self,
        url: str,
        timeout: float,
        *,
        key: str = HASH,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        client = redis_client(url, timeout, _CONNECTIONS)
        self._key = key
        self._ask = client.register_script(_LOOK)
        self._change = client.register_script(_CHANGE)
        self._monotonic = monotonic
        # Nobody waits for Redis to learn the time: until it was asked, this machine's must do.
        self._offset = wall() - monotonic()
        self._copy: dict[str, bytes] = {}
        self._number = -1  # of the change up to which the copy is complete
        self._own: dict[str, int] = {}  # numbers of this worker's changes since then
        self._changing = threading.Lock()  # the four above; never held while waiting
        self._looking = threading.Lock()
        self._looks = 0
        self._stale_at = float("-inf")

    def clock(self) -> float:
        """Redis's time, as last heard, going on by this machine's monotonic clock."""
        return self._monotonic() + self._offset

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        self._renew_if_stale()
        stored = self._copy.get(key)
        return None if stored is None else orjson.loads(stored[_UNIQUE:])

    def scan(self, prefix: str) -> dict[str, Value]:
        """See SharedState.scan."""
        self._renew_if_stale()
        with self._changing:
            found = {key: value for key, value in self._copy.items() if key.startswith(prefix)}
        return {key: orjson.loads(value[_UNIQUE:]) for key, value in found.items()}

    def _renew_if_stale(self) -> None:
        if self._monotonic() < self._stale_at:
            return
        looks = self._looks
        # With an old copy at hand, one renews it and the others go on.
        if not self._looking.acquire(blocking=self._number < 0):
            return
        try:
            if self._looks == looks:
                self._look()
            elif self._number < 0:  # who was before us has waited in vain
                raise redis.ConnectionError("nothing was heard of Redis yet")
        finally:
            self._looking.release()

    def refresh(self) -> None:
        """See SharedState.refresh. One round trip; the copy is sent only if something changed."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        self._looks += 1
        began = self._monotonic()
        seconds, micros, number, *rest = self._ask(keys=[self._key], args=[self._number])
        ended = self._monotonic()
        now = int(seconds) + int(micros) / 1e6
        # It was that time at some moment of the call: stay with what fits already.
        self._offset = min(max(self._offset, now - ended), now - began)
        if rest:
            self._take(int(number), rest[0])
        self._stale_at = ended + STALE

    def _take(self, number: int, fields: list[bytes]) -> None:
        """Take over all that was stored, besides what this worker changed meanwhile."""
        copy = {name.decode(): stored for name, stored in zip(*[iter(fields)] * 2, strict=True)}
        copy.pop(_NUMBER, None)
        with self._changing:
            newer = {key: own for key, own in self._own.items() if own > number >= self._number}
            for key in newer:
                _put(copy, key, self._copy.get(key, b""))
            self._copy, self._own, self._number = copy, newer, number

    def change(self, key: str, edit: Edit) -> Value | None:
        """See SharedState.change."""
        expected = self._copy.get(key, b"")
        me = os.urandom(8).hex()
        keys = [self._key, f"{self._key}:turn:{key}"]
        for lost in range(_TRIES):
            new = edit(orjson.loads(expected[_UNIQUE:]) if expected else None)
            wanted = _stored(new, expected)
            arguments = [key, expected, wanted, me, int(lost >= _PATIENT)]
            done, number, *current = self._change(keys=keys, args=arguments)
            if done:
                self._note(key, wanted, int(number))
                return new
            if current[0] == expected:
                time.sleep(_MOMENT)
            expected = current[0]  # and again at once: after a pause it would be old
        raise redis.RedisError("others change it all the time")

    def _note(self, key: str, stored: bytes, number: int) -> None:
        """What this worker changed it sees at once, unless it has seen something newer."""
        with self._changing:
            if number > max(self._number, self._own.get(key, 0)):
                _put(self._copy, key, stored)
                self._own[key] = number


def _stored(new: Value | None, expected: bytes) -> bytes:
    if new is None:
        return b""
    data = orjson.dumps(new)
    # What stays as it is keeps its word, too: nothing is written then.
    return expected if expected[_UNIQUE:] == data else os.urandom(8).hex().encode() + data


def _put(copy: dict[str, bytes], key: str, stored: bytes) -> None:
    if stored:
        copy[key] = stored
    else:
        copy.pop(key, None)

"""Slots in Redis: exact across machines, decided inside Redis by its own clock.

One sorted set for each key: a member for each slot, with the moment at which it ends unless its
worker renews it. So the slots of a worker that died are free after a lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from gateway.rate_limiting.concurrency.slots import Claim, Held, granted
from gateway.state.redis_client import redis_client

#: Seconds for which a slot is held without being renewed.
LEASE = 2.0
#: Seconds between two renewals, at least; a little less than two beats.
RENEW = 0.4
_LEASE = int(LEASE * 1000)
# One hash tag, so that all slots of a request are on one node of a cluster.
_PREFIX = "{gatehouse}:slots:"
_CONNECTIONS = 8
# Slots renewed in one call: others wait for it meanwhile.
_MOST = 500

# KEYS: sorted sets. ARGV: the request's token, the lease in milliseconds, then limit and whether it
# refuses ("1") for each key. Answers the numbers of the keys without room. Sent twice, it counts
# once.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + tonumber(ARGV[2])
local full, room, refused = {}, {}, false
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', key, ends + tonumber(ARGV[2]), '+inf') -- the clock was set back
  if redis.call('ZCARD', key) < tonumber(ARGV[i * 2 + 1])
      or redis.call('ZSCORE', key, ARGV[1]) then
    room[#room + 1] = key
  else
    full[#full + 1] = i
    refused = refused or ARGV[i * 2 + 2] == '1'
  end
end
if not refused then
  for _, key in ipairs(room) do
    redis.call('ZADD', key, ends, ARGV[1])
    redis.call('PEXPIRE', key, ARGV[2] * 2)
  end
end
return full
"""
# KEYS: sorted sets. ARGV: the token.
_FREE = """
for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end
"""
# KEYS: a sorted set for each slot. ARGV: the lease in milliseconds, whether to put back those that
# are not there ("1"), then the token of each. Answers the numbers of those that are not there.
_RENEW = """
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local missing = {}
for i, key in ipairs(KEYS) do
  if ARGV[2] == '1' or redis.call('ZSCORE', key, ARGV[i + 2]) then
    redis.call('ZADD', key, ends, ARGV[i + 2])
    redis.call('PEXPIRE', key, ARGV[1] * 2)
  else
    missing[#missing + 1] = i
  end
end
return missing
"""
# KEYS: sorted sets. Answers how many slots of each are held.
_TAKEN = """
local time = redis.call('TIME')
local now = '(' .. (time[1] * 1000 + math.floor(time[2] / 1000))
local taken = {}
for i, key in ipairs(KEYS) do taken[i] = redis.call('ZCOUNT', key, now, '+inf') end
return taken
"""

#: A key and a token.
Slot = tuple[str, str]


class RedisSlots:
    """Slots in the Redis at `url`; `timeout` bounds connecting and every answer, in seconds.

    Raises redis.RedisError when it cannot be asked. Taking is one round trip, giving back another.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        held: Held,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        client = redis_client(url, timeout, _CONNECTIONS)
        self._take = client.register_script(_TAKE)
        self._free = client.register_script(_FREE)
        self._renew = client.register_script(_RENEW)
        self._count = client.register_script(_TAKEN)
        self._held = held
        self._clock = clock
        self._renewed_at = clock()

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """See SlotStore.take."""
        arguments: list[str | int] = [token, _LEASE]
        for claim in claims:
            arguments += [claim.limit, int(not claim.dry)]
        answer: list[int] = self._take(keys=[_PREFIX + c.key for c in claims], args=arguments)
        full = tuple(number - 1 for number in answer)
        self._held.add(granted(claims, full), token)
        return full

    def free(self, keys: Sequence[str], token: str) -> None:
        """See SlotStore.free. What Redis did not hear ends with its lease."""
        self._free(keys=[_PREFIX + key for key in keys], args=[token])

    def taken(self, keys: Sequence[str]) -> list[int]:
        """See SlotStore.taken."""
        return [int(count) for count in self._count(keys=[_PREFIX + key for key in keys])]

    def keep(self) -> bool:
        """See SlotStore.keep. Slots that Redis lost are put back."""
        now = self._clock()
        if now - self._renewed_at < RENEW:
            return False
        everything = self._held.everything()
        slots = [(key, token) for key, tokens in everything.items() for token in tokens]
        for some in _some(slots):
            # One that was just given back must not come back to life: so those that are missing
            # are looked at again.
            missing = self._ask(some, put_back=False)
            if missing:
                held = self._held.everything()
                self._ask([s for s in missing if s[1] in held.get(s[0], ())], put_back=True)
        self._renewed_at = now
        return bool(slots)

    def _ask(self, slots: Sequence[Slot], *, put_back: bool) -> list[Slot]:
        if not slots:
            return []
        answer: list[int] = self._renew(
            keys=[_PREFIX + key for key, _ in slots],
            args=[_LEASE, int(put_back), *[token for _, token in slots]],
        )
        return [slots[number - 1] for number in answer]


def _some(slots: Sequence[Slot]) -> Iterable[Sequence[Slot]]:
    for begin in range(0, len(slots), _MOST):
        yield slots[begin : begin + _MOST]

"""What all workers share of one issuer's keys, and when they are to be fetched anew.

All times are in the clock of the shared state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Literal

from gateway.authentication.oidc.issuer import Issuer
from gateway.authentication.oidc.key_document import Jwk
from gateway.state import Value

#: Seconds after which keys are fetched anew; up to a tenth less, by lot.
REFRESH = 600.0
#: Seconds for which keys are used while they cannot be fetched anew.
KEEP = 86400.0
#: Seconds between two fetches for the sake of keys that are not there.
AGAIN = 30.0
#: Seconds to the next try after several failures; one after the first, half of it by lot.
LONGEST_PAUSE = 60.0
#: Seconds for which others leave a fetch to who has begun it.
BUSY = 3.0
#: Seconds by which the clocks of workers may differ, since each hears Redis's for itself. What lies
#: further in the future than it can is of a clock that was set back.
SKEW = 5.0

#: Why keys are fetched: they are old, there are none, or a token names one that is not there.
Cause = Literal["old", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Entry:
    """The keys of an issuer and how fetching them goes.

    keys: the last that were found, at `fetched`; none before the first. due: when to fetch next.
    asked: when a name that is not there last had them fetched, None for never. failures: fetches
    in a row that failed. holder: who fetches, until `busy` at most; empty for nobody.
    """

    keys: tuple[Jwk, ...] = ()
    fetched: float = 0.0
    due: float = 0.0
    asked: float | None = None
    failures: int = 0
    holder: str = ""
    busy: float = 0.0

    @classmethod
    def read(cls, value: Value | None) -> Entry:
        """What was stored."""
        if value is None:
            return cls()
        told = {name: value[name] for name in cls.__slots__}
        return cls(**{**told, "keys": tuple(told["keys"])})

    def value(self) -> Value:
        """What is stored, for as long as the keys may be used or it says when to try again."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        until = self.fetched + KEEP if self.keys else self.due
        return {
            **told,
            "keys": list(self.keys),
            "expires": max(until, self.due, self.busy) + REFRESH,
        }

    def usable(self, now: float) -> bool:
        """Whether there are keys that are not too old. Ones of the future are: the clock was set
        back."""
        return bool(self.keys) and now - self.fetched < KEEP

    def is_busy(self, now: float) -> bool:
        """Whether somebody fetches them."""
        return bool(self.holder) and now < self.busy <= now + BUSY + SKEW

    def wanted(self, now: float, cause: Cause) -> bool:
        """Whether they may be fetched for this cause."""
        if cause == "unknown" and self.keys:
            return self.asked is None or not -SKEW <= now - self.asked < AGAIN
        return not now < self.due <= now + REFRESH + SKEW

    def claimed(self, now: float, holder: str, cause: Cause) -> Entry:
        """The same, with a new holder if there is something to do that nobody does."""
        if self.is_busy(now) or not self.wanted(now, cause):
            return self
        asked = now if cause == "unknown" else self.asked
        return replace(self, holder=holder, busy=now + BUSY, asked=asked)

    def succeeded(self, now: float, keys: tuple[Jwk, ...], drawn: float) -> Entry:
        """After a fetch. drawn: by lot, from 0 to 1."""
        due = now + REFRESH * (1 - drawn / 10)
        return replace(self, keys=keys, fetched=now, due=due, failures=0, holder="", busy=0.0)

    def failed(self, now: float, drawn: float) -> Entry:
        """After a fetch that failed: what was known stays."""
        pause = min(2.0 ** min(self.failures, 10), LONGEST_PAUSE) * (0.5 + drawn / 2)
        return replace(self, due=now + pause, failures=self.failures + 1, holder="", busy=0.0)

    def newer(self, other: Entry, now: float) -> bool:
        """Whether its keys were fetched after another's. Ones of the future are older than any."""
        if not self.usable(now) or self.fetched > now + SKEW:
            return False
        return self.fetched > other.fetched or other.fetched > now + SKEW


def key_of(issuer: Issuer) -> str:
    """The name of an issuer's entry; another one with another place of its keys."""
    told = f"{issuer.url} {issuer.jwks_uri}"
    return f"oidc/{hashlib.sha256(told.encode()).hexdigest()[:16]}"

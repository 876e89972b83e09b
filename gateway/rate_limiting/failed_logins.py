"""Credentials that one address had refused: beyond a limit, no further one is looked at.

Counted in the store that all workers share. A worker learns what others counted when it counts
itself, so that good credentials cost nothing: until then, each worker may look at one too many.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gateway.authentication.identity import Identity
from gateway.authentication.scheme import Scheme
from gateway.errors import Refusal, Unauthenticated
from gateway.rate_limiting.exemptions import Exemptions
from gateway.rate_limiting.keys import key_of
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Windows

log = logging.getLogger("gateway.rate_limiting")

# How the log calls the limit.
_NAME = "failed-logins"
# Addresses, and good credentials of them, that a worker remembers: the first go first.
_MOST = 10_000
# How the slug of a refusal ends for a credential that once was good: nobody guessed it.
_GENUINE = ("_expired", "_revoked", "_suspended")

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Record:
    """What a worker knows of an address: nothing more from `over` on. until: when its credentials
    are looked at again; both in seconds of a monotonic clock."""

    over: float
    until: float = 0.0


class FailedLogins:
    """Judges credentials, as long as their address had not too many refused.

    rules: the limits. dry: they count, and refuse nothing. Each worker remembers 10 000 addresses
    with refused credentials, and by a hash the last 10 000 good ones of all addresses: those are
    judged also when their address is over its limit, so that a guesser shuts out nobody whom the
    worker has let in already.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        windows: Windows,
        exempt: Exemptions,
        *,
        dry: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._windows = windows
        self._exempt = exempt
        self._dry = dry
        self._clock = clock
        self._longest = max((rule.seconds for rule in rules), default=0)
        self._lock = threading.Lock()
        self._known: dict[str, _Record] = {}
        self._good: dict[int, None] = {}

    def judge(self, scheme: Scheme, credential: str, environ: dict[str, Any]) -> Identity:
        """Who the credential proves, see Scheme.verify. Raises also Refusal (429) where there were
        too many bad ones; the scheme is not asked then."""
        address = key_of(environ)  # nobody's identity is known by now
        record = self._known.get(address) if self._known else None
        if record is not None and self._clock() >= record.over:
            record = None
        if record is not None:
            self._check(record, address, scheme, credential, environ)
        try:
            identity = scheme.verify(credential, environ)
        except Unauthenticated as refusal:
            if _guessed(scheme, refusal, environ) and not self._exempt.cover(environ):
                self._count(address, environ)
                with self._lock:
                    self._good.pop(_hash(address, scheme, credential, environ), None)
            raise
        known = _hash(address, scheme, credential, environ)
        if known not in self._good:
            self._keep(self._good, known, None)
        return identity

    def _check(
        self,
        record: _Record,
        address: str,
        scheme: Scheme,
        credential: str,
        environ: dict[str, Any],
    ) -> None:
        wait = record.until - self._clock()
        if wait <= 0 or not _presented(scheme, environ):
            return
        if _hash(address, scheme, credential, environ) in self._good:
            return
        if self._dry:
            environ["gateway.exchange"].dry_run.append(_NAME)
            return
        raise Refusal(
            "Too many credentials from this address were refused.",
            status=429,
            slug="too_many_failed_logins",
            headers=[("Retry-After", str(int(wait) + 1))],
        )

    def _count(self, address: str, environ: dict[str, Any]) -> None:
        """Count a refused credential, and learn whether another may be tried."""
        now = self._clock()
        hits = [hit for rule in self._rules if (hit := rule.hit(environ, address)) is not None]
        try:
            _, states = self._windows.acquire([replace(hit, forced=True) for hit in hits])
            full = [hit for hit, state in zip(hits, states, strict=True) if not state.remaining]
            wait = 0.0
            if full:
                _, after = self._windows.acquire([replace(hit, peek=True) for hit in full])
                wait = max(window.retry for window in after)
        except Exception as error:  # noqa: BLE001  the credential is refused in any case
            log.warning("a refused credential was not counted: %s", type(error).__name__)
            return
        self._keep(self._known, address, _Record(now + self._longest, now + wait))

    def _keep(self, memory: dict[K, V], key: K, value: V) -> None:
        with self._lock:
            memory.pop(key, None)  # to the end
            memory[key] = value
            if len(memory) > _MOST:
                del memory[next(iter(memory))]


def _hash(address: str, scheme: Scheme, credential: str, environ: dict[str, Any]) -> int:
    """What stands for a good credential of an address. Python's hash will do: who finds another
    credential with the same one has only won that it is looked at."""
    return hash((address, scheme.name, credential or environ.get("HTTP_AUTHORIZATION", "")))


def _presented(scheme: Scheme, environ: dict[str, Any]) -> bool:
    """Whether there is a credential. Of a request that is judged as a whole, only `Authorization`
    is certain to be one: browsers send all kinds of cookies."""
    return scheme.carried != "request" or "HTTP_AUTHORIZATION" in environ


def _guessed(scheme: Scheme, refusal: Unauthenticated, environ: dict[str, Any]) -> bool:
    """Whether what was refused may have been a guess."""
    if refusal.slug.startswith("missing_") or refusal.slug.endswith(_GENUINE):
        return False
    return _presented(scheme, environ)

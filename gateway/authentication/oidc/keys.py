"""The keys of one issuer, as a worker uses them and all workers share them."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gateway.authentication.oidc.discovery import FetchFailed
from gateway.authentication.oidc.entry import SKEW, Cause, Entry
from gateway.authentication.oidc.key_document import Jwk, KeyRing, PublicKey
from gateway.authentication.scheme import NotAsked
from gateway.errors import AuthorityUnavailable
from gateway.state import SharedState, Value

#: Fetches the keys; gives them and the number of those that cannot be used. Raises FetchFailed.
Fetch = Callable[[], tuple[tuple[Jwk, ...], int]]

#: Seconds for which a request waits for keys at most.
WAIT = 2.0
#: Seconds between two looks at what is shared, where there is no beat.
LOOK = 1.0
_MOMENT = 0.05

log = logging.getLogger("gateway.oidc")


def _thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="gateway-oidc", daemon=True).start()


class IssuerKeys:
    """Finds keys, and has them fetched by one worker for all.

    This worker remembers the keys it last saw, 32 KB at most, for a day after they were fetched.
    A request with a key at hand waits for nothing. Others wait up to two seconds: where there are
    no keys, and for a key that is not there, which has them fetched once in 30 s at most.

    key: the name of the shared entry. name: what logs call the issuer. gone: called when a key is
    not there any more. run: does work beside the request, default in a thread.
    """

    def __init__(
        self,
        name: str,
        key: str,
        fetch: Fetch,
        state: SharedState,
        *,
        gone: Callable[[], None] = lambda: None,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
        run: Callable[[Callable[[], None]], None] = _thread,
    ) -> None:
        self._name = name
        self._key = key
        self._fetch = fetch
        self._state = state
        self._gone = gone
        self._draw = draw
        self._sleep = sleep
        self._run = run
        self._known = (Entry(), KeyRing(()))
        self._looked = float("-inf")
        self._adopting = threading.Lock()
        self._asking = threading.Lock()
        self._flight: threading.Event | None = None  # set when this worker's attempt is over

    def candidates(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """The keys that may have signed a token; none where the issuer has none. kid: None for a
        token that names none. Raises AuthorityUnavailable where nobody can say at the moment."""
        ring, fresh = self._usable(), False
        if ring is None:
            fresh = self._ask("none")
        elif not 0 <= self._state.clock() - self._looked < LOOK:
            self.look()
        ring = self._usable()
        if ring is not None and not ring.knows(kid) and not fresh:
            self._ask("unknown")
            ring = self._usable()
        if ring is None:
            raise AuthorityUnavailable from FetchFailed(f"the keys of {self._name} cannot be had")
        if not ring.knows(kid) and self._undecided():
            raise AuthorityUnavailable from FetchFailed(
                f"whether {self._name} has the key cannot be told: its keys were not fetched anew"
            )
        return ring.candidates(kid, algorithm)

    def peek(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """As `candidates`, by what the workers share now: nothing is fetched. Raises NotAsked where
        a request would have them fetched."""
        entry = Entry.read(self._state.get(self._key))
        ring = KeyRing(entry.keys) if entry.usable(self._state.clock()) else None
        if ring is None or not ring.knows(kid):
            raise NotAsked(f"the keys of {self._name}")
        return ring.candidates(kid, algorithm)

    def _undecided(self) -> bool:
        """Whether a key that is not there may be: the last fetch failed, or one is under way."""
        entry, _ = self._known
        busy = self._flight is not None or entry.is_busy(self._state.clock())
        return busy or entry.failures > 0

    def look(self) -> None:
        """Take over what others found, and have the keys fetched if they are old; called at every
        beat, and waits for nothing."""
        self._looked = self._state.clock()
        self._ask("old", wait=False)

    def _usable(self) -> KeyRing | None:
        entry, ring = self._known
        return ring if entry.usable(self._state.clock()) else None

    def _ask(self, cause: Cause, *, wait: bool = True) -> bool:
        """Have the keys fetched if they may be, by this worker or another, and wait for it; False
        where they need not or may not be."""
        with self._asking:
            flight = self._flight
            if flight is None:
                entry = self._adopt()
                now = self._state.clock()
                # What another worker fetches is waited for, or just not fetched again.
                if not (wait if entry.is_busy(now) else entry.wanted(now, cause)):
                    return False
                flight = self._flight = threading.Event()
                try:
                    self._run(partial(self._fly, flight, cause))
                except RuntimeError as error:  # no thread can be had: the next one tries again
                    self._flight = None
                    log.warning("the keys of %s are not asked for: %s", self._name, error)
                    return False
        return wait and flight.wait(WAIT)

    def _fly(self, flight: threading.Event, cause: Cause) -> None:
        try:
            me = os.urandom(8).hex()
            now = self._state.clock()
            entry = Entry.read(
                self._state.change(
                    self._key, lambda old: Entry.read(old).claimed(now, me, cause).value()
                )
            )
            if entry.holder == me:
                self._attempt(me, now)
            elif entry.is_busy(now):
                self._await_other()
            self._adopt()
        except Exception:
            log.exception("the keys of %s could not be shared", self._name)
        finally:
            self._flight = None
            flight.set()

    def _attempt(self, me: str, began: float) -> None:
        """Fetch the keys, and tell all workers what came of it."""
        failure: Exception | None = None
        keys: tuple[Jwk, ...] = ()
        others = 0
        try:
            keys, others = self._fetch()
        except Exception as error:  # noqa: BLE001  nobody would wait for another try
            failure = error
        now, drawn = self._state.clock(), self._draw()
        before: list[Entry] = []

        def told(old: Value | None) -> Value | None:
            entry = Entry.read(old)
            # Where it took too long, another has begun anew.
            newer = began < entry.fetched <= now + SKEW
            late = newer if failure is None else entry.holder != me
            before[:] = [] if late else [entry]
            if late:
                return old
            if failure is not None:
                return entry.failed(now, drawn).value()
            return entry.succeeded(now, keys, drawn).value()

        self._state.change(self._key, told)
        if before:
            self._report(before[0], keys, others, failure)

    def _report(
        self, before: Entry, keys: tuple[Jwk, ...], others: int, failure: Exception | None
    ) -> None:
        if failure is None:
            if before.failures:
                log.warning("the keys of %s can be fetched again", self._name)
            if keys != before.keys:
                log.info("%s has %d keys, and %d that are not used", self._name, len(keys), others)
        elif isinstance(failure, FetchFailed):
            if not before.failures:
                log.warning("the keys of %s cannot be fetched: %s", self._name, failure)
        else:
            log.error("the keys of %s cannot be fetched", self._name, exc_info=failure)

    def _await_other(self) -> None:
        """Until the worker that fetches them has told, or should have."""
        for _ in range(int(WAIT / _MOMENT)):
            self._sleep(_MOMENT)
            self._state.refresh()
            if not Entry.read(self._state.get(self._key)).is_busy(self._state.clock()):
                return

    def _adopt(self) -> Entry:
        """Take over what is shared, or tell it again where it was lost or is older than what this
        worker knows, as with a store that came back."""
        with self._adopting:
            mine, ring = self._known
            now = self._state.clock()
            entry = Entry.read(self._state.get(self._key))
            if mine.newer(entry, now):
                entry = Entry.read(
                    self._state.change(self._key, lambda old: _restored(mine, old, now))
                )
            if not entry.usable(now):
                entry = replace(entry, keys=())
            if entry.keys != mine.keys:
                ring = KeyRing(entry.keys)
            self._known = (entry, ring)
            if any(jwk not in entry.keys for jwk in mine.keys):
                self._gone()
            return entry


def _restored(mine: Entry, old: Value | None, now: float) -> Value:
    entry = Entry.read(old)
    if not mine.newer(entry, now):
        return entry.value()
    return replace(mine, holder=entry.holder, busy=entry.busy).value()

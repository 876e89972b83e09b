"""Slots that go on when their store does not: the local store steps in, and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from gateway.rate_limiting.concurrency.slots import Claim, LocalStore, SlotStore
from gateway.rate_limiting.windows import StoreUnavailable
from gateway.state.outage import Outage

log = logging.getLogger("gateway.rate_limiting")


class FallbackSlots:
    """Asks `primary`; while it fails, `local` counts for claims whose on_failure is "local". With
    one that is "closed", the request is refused; "open" ones are not counted.

    Whichever store counts is first told what this worker holds, so that slots taken from the other
    still count. The primary is tried again each `pause` seconds, by one request or beat. Which
    store is used is remembered by this worker alone.
    """

    def __init__(
        self,
        primary: SlotStore,
        local: LocalStore,
        *,
        name: str,
        pause: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._primary = primary
        self._local = local
        self._pause = pause
        self._outage = Outage(
            log,
            f"slots in {name}",
            "counted locally",
            works="are back",
            pause=pause,
            timer=clock,
        )

    @property
    def degraded(self) -> bool:
        """Whether the local store is counting at the moment."""
        return self._outage.down

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """See SlotStore.take. Raises StoreUnavailable, and what the local store raises."""
        down = self._outage.down
        if not down or self._outage.may_try():
            try:
                if down:
                    self._primary.keep()
                full = self._primary.take(claims, token)
            except Exception as error:  # noqa: BLE001  whatever its driver raises, requests go on
                self._failed(error)
            else:
                if down:
                    self._works()
                return full
        return self._locally(claims, token)

    def _locally(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        if any(claim.on_failure == "closed" and not claim.dry for claim in claims):
            raise StoreUnavailable(self._pause)
        kept = [number for number, claim in enumerate(claims) if claim.on_failure == "local"]
        full = self._local.take([claims[number] for number in kept], token) if kept else ()
        return tuple(kept[number] for number in full)

    def free(self, keys: Sequence[str], token: str) -> None:
        """See SlotStore.free. What the primary did not hear, it is told at the beat, or it ends
        there by itself. Raises what the local store raises."""
        if self._outage.down:
            self._local.free(keys, token)
            return
        try:
            self._primary.free(keys, token)
        except Exception as error:  # noqa: BLE001
            self._failed(error)

    def taken(self, keys: Sequence[str]) -> list[int]:
        """See SlotStore.taken. Raises what the store raises that counts at the moment."""
        return (self._local if self.degraded else self._primary).taken(keys)

    def keep(self) -> bool:
        """See SlotStore.keep. Raises what the local store raises."""
        down = self._outage.down
        if not down or self._outage.may_try():
            try:
                asked = self._primary.keep()
            except Exception as error:  # noqa: BLE001
                self._failed(error)
            else:
                if down and asked:
                    self._works()
                elif down:
                    self._outage.undecided()
        return self._local.keep() if self.degraded else True

    def _failed(self, error: Exception) -> None:
        if self._outage.failed(error):
            try:
                self._local.keep()
            except Exception as wrong:  # noqa: BLE001  the next beat may do better
                log.warning("slots: %s", _kind(wrong))

    def _works(self) -> None:
        self._outage.over()
        try:
            self._local.leave()
        except Exception as error:  # noqa: BLE001  it is away, too
            log.warning("slots: %s", _kind(error))


class LocalFallback(FallbackSlots):
    """One that may itself step in for another."""

    def __init__(self, primary: LocalStore, local: LocalStore, *, name: str) -> None:
        super().__init__(primary, local, name=name)
        self._own = (primary, local)

    def leave(self) -> None:
        """See LocalStore.leave."""
        for store in self._own:
            store.leave()


def _kind(error: Exception) -> str:
    return type(error).__name__

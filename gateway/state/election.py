"""One worker out of all that share the state, for work that must not be done by each."""

from __future__ import annotations

import os
import socket

from gateway.state.shared import SharedState, Value


class Lease:
    """A claim that runs out by itself: whoever holds it has to renew it.

    key: what is claimed. seconds: how long a claim holds; when its holder dies, another takes over
    at most that much later. Taking it twice is renewing it.

    A holder that stands still for longer has lost it before it can know: for a moment, two may
    think that they hold it.
    """

    def __init__(self, state: SharedState, key: str, seconds: float = 1.5) -> None:
        self._state = state
        self._key = key
        self._seconds = seconds
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{os.urandom(4).hex()}"

    def take(self) -> bool:
        """Claim or renew; False while another's claim holds."""
        now = self._state.clock()
        claim = self._state.get(self._key)
        mine = claim is not None and claim["holder"] == self._holder
        if claim is not None and self._holds(claim, now):
            if not mine:
                return False
            if claim["until"] - now > self._seconds / 2:
                return True
        claim = self._state.change(self._key, self._claimed)
        return claim is not None and claim["holder"] == self._holder

    def _claimed(self, old: Value | None) -> Value:
        now = self._state.clock()
        if old is not None and old["holder"] != self._holder and self._holds(old, now):
            return old
        return {"holder": self._holder, "until": now + self._seconds}

    def _holds(self, claim: Value, now: float) -> bool:
        # One that is made for longer than any: the store's clock was set back.
        return bool(now < claim["until"] <= now + 2 * self._seconds)

    def give_up(self) -> None:
        """Let another have it at once."""

        def released(old: Value | None) -> Value | None:
            return None if old is not None and old["holder"] == self._holder else old

        self._state.change(self._key, released)

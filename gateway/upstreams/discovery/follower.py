"""Every worker's end of discovery: it takes over what the elected one found."""

from __future__ import annotations

import threading
import time

from gateway.errors import ClientGone
from gateway.exchange import UpstreamRequest
from gateway.pulse import Pulse
from gateway.state import SharedState
from gateway.upstreams import verdicts
from gateway.upstreams.discovery.entry import STALE, Entry, source_of
from gateway.upstreams.discovery.lookout import Lookout
from gateway.upstreams.discovery.provider import Discovery
from gateway.upstreams.pool import UpstreamPool
from gateway.upstreams.target import Target

_SLICE = 0.25  # after each of which a client that left is noticed


class Follower:
    """Keeps one worker's pool at what is shared. What it saw last is this worker's own."""

    def __init__(self, service: str, source: str, state: SharedState, pool: UpstreamPool) -> None:
        self._key = verdicts.targets(service)
        self._source = source
        self._state = state
        self._pool = pool
        self._seen: object = None
        self._taken: tuple[Target, ...] | None = None
        self._entry: Entry | None = None
        self._changed = threading.Condition()

    def refresh(self) -> None:
        """Take over what changed; called at every beat. Where nothing is shared, as in a store
        that was lost, the pool keeps what it has."""
        value = self._state.get(self._key)
        if value is None:
            return
        with self._changed:
            if value != self._seen:
                if self._entry is not None and self._state.clock() - value["renewed"] > STALE:
                    return
                self._entry = Entry.read(value, self._source)
                self._seen = value
            self._take(self._entry)

    def _take(self, entry: Entry | None) -> None:
        if entry is None:
            return
        gone = entry.gone_at is not None and self._state.clock() >= entry.gone_at
        targets = () if gone else entry.targets
        if targets is not None and targets != self._taken:
            self._pool.set_targets(targets)
            self._taken = targets
        self._changed.notify_all()

    def wait(self, request: UpstreamRequest) -> None:
        """Wait while nobody has looked yet: for as long as making a connection may take, at most
        until the deadline. Raises ClientGone."""
        self.refresh()
        end = min(time.monotonic() + (request.timeouts.connect or 1.0), request.deadline)
        while self._entry is None and (left := end - time.monotonic()) > 0:
            if request.abandoned():
                raise ClientGone
            with self._changed:
                if self._entry is None:
                    self._changed.wait(min(left, _SLICE))


def follow(
    discovery: Discovery, address: str | None, pool: UpstreamPool, state: SharedState, pulse: Pulse
) -> None:
    """Keep a pool at what `discovery` finds: one worker looks, all take it over. address: what it
    was made of, None if it was made in Python."""
    source = source_of(address, discovery)
    follower = Follower(pool.service, source, state, pool)
    pool.arrival = follower.wait
    lookout = Lookout(pool.service, source, discovery, state, follower.refresh)
    for action in (lookout.keep, follower.refresh, pool.refresh):
        pulse.at_beat(action)
    pulse.when_elected(f"discovery of {pool.service}", lookout)

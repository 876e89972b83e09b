"""The duty of the elected worker: to look where a service's instances are, and tell all workers."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.state import SharedState, Value
from gateway.upstreams import verdicts
from gateway.upstreams.discovery.entry import RENEW, Entry, in_order
from gateway.upstreams.discovery.provider import Discovery, DiscoveryError, Look
from gateway.upstreams.target import Target

#: Seconds for which the instances stay after their source first said that there are none.
EMPTY_HOLD = 30.0
LONGEST_PAUSE = 30.0
_SHORTEST_WAIT = 0.1  # also for a source that answers at once, again and again

log = logging.getLogger("gateway.upstreams")


def _wait(over: threading.Event, seconds: float) -> None:
    over.wait(seconds)


@dataclass(slots=True, eq=False)
class Lookout:
    """Looks until the office is over. Called in the elected worker; see Pulse.when_elected.

    A look that fails leaves what is known and is tried again after 1 s, 2 s and so on up to 30 s,
    half of that by lot. An outage is logged when it begins and when it ends.
    """

    service: str
    source: str
    discovery: Discovery
    state: SharedState
    told: Callable[[], None] = lambda: None
    draw: Callable[[], float] = random.random
    wait: Callable[[threading.Event, float], None] = _wait
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _latest: Entry | None = field(default=None, init=False)

    def __call__(self, over: threading.Event) -> None:
        """Look again and again."""
        self._over, self._latest = over, None
        self._forget_failure()
        look: Look | None = None
        failures = 0
        while not over.is_set():
            try:
                look = look or self.discovery.begin()
                found = look(over)
                if over.is_set():
                    return  # another looks by now, and may have seen something newer
                self._found(in_order(found.targets))
                pause = max(found.next_look, _SHORTEST_WAIT)
            except Exception as error:  # noqa: BLE001  a provider may raise anything
                if over.is_set():
                    return
                if not isinstance(error, DiscoveryError):
                    look = None  # who knows in which state it is
                self._failed(error, failures)
                pause = min(2.0 ** min(failures, 5), LONGEST_PAUSE) * (0.5 + self.draw() / 2)
                failures += 1
            else:
                if failures:
                    log.warning("%s: discovery works again", self.service)
                failures = 0
            self.wait(over, pause)

    @property
    def _key(self) -> str:
        return verdicts.targets(self.service)

    def _known(self) -> Entry | None:
        return Entry.read(self.state.get(self._key), self.source)

    def _found(self, targets: tuple[Target, ...]) -> None:
        known = self._known()
        if targets or known is None or not known.targets:
            entry = Entry(self.source, targets)
        elif known.gone_at is not None:
            entry = known
        else:
            # Registries in trouble are known to say that all is gone. If it is true, requests
            # fail a little differently for a while.
            entry = Entry(self.source, known.targets, self.state.clock() + EMPTY_HOLD)
        self._latest = entry
        if entry != known:
            self._log(known, targets)
            self._share(entry)

    def _log(self, known: Entry | None, targets: tuple[Target, ...]) -> None:
        if not targets:
            log.warning("%s: discovery finds no instance", self.service)
            return
        old = {target.name for target in (known and known.targets) or ()}
        new = {target.name for target in targets}
        log.info(
            "%s: %d instances; new: %s; gone: %s",
            self.service,
            len(targets),
            ", ".join(sorted(new - old)) or "none",
            ", ".join(sorted(old - new)) or "none",
        )

    def _failed(self, error: Exception, failures: int) -> None:
        if self._known() is None:  # or requests would go on waiting for the first instances
            self._share(Entry(self.source, None))
        if failures:
            return
        if isinstance(error, DiscoveryError):
            log.warning("%s: discovery fails, what is known stays: %s", self.service, error)
        else:
            log.error("%s: discovery fails, what is known stays", self.service, exc_info=error)

    def _share(self, entry: Entry) -> None:
        value = entry.value(self.state.clock())
        self.state.change(self._key, lambda _old: value)
        self.told()

    def keep(self) -> None:
        """Say it again where it was lost, as with a store that came back, or is about to look old;
        called at every beat. The next look may be far away."""
        latest = self._latest
        if latest is None or self._over.is_set():
            return
        value = self.state.get(self._key)
        now = self.state.clock()
        if (
            value is None
            or now - value["renewed"] >= RENEW
            or value != latest.value(value["renewed"])
        ):
            self._share(latest)

    def _forget_failure(self) -> None:
        """Who begins to look has not failed yet."""

        def forgotten(old: Value | None) -> Value | None:
            return None if old is not None and old["targets"] is None else old

        if self.state.get(self._key) is not None:
            self.state.change(self._key, forgotten)

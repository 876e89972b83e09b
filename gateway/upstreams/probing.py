"""The work of active health, in the elected worker: who is asked when, and what comes of it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.errors import ClientGone, UpstreamError
from gateway.state import SharedState
from gateway.upstreams import verdicts
from gateway.upstreams.ejection import probed
from gateway.upstreams.health_checks import HealthCheck
from gateway.upstreams.pool import UpstreamPool
from gateway.upstreams.target import Target

#: Asks one instance, and returns the status it answers with. Raises UpstreamError, or ClientGone
#: soon after the event is set.
Ask = Callable[[Target, threading.Event], int]

#: Seconds after which a change of instances is seen at the latest.
_LOOK = 0.5

log = logging.getLogger("gateway.upstreams")


@dataclass(slots=True)
class Schedule:
    """When each instance of a service is asked next; instances by name, times in seconds.

    since: how long ago an instance new to this worker was last asked, None for never. Those that
    never were are spread over an interval; the others keep the place they have.
    """

    check: HealthCheck
    since: Callable[[str], float | None]
    draw: Callable[[], float] = random.random
    _at: dict[str, float] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)

    def take_due(self, targets: Sequence[Target], now: float) -> list[Target]:
        """Those to be asked now, each of them busy until `done`. One that is still busy with its
        last probe is not asked a second time."""
        self._at = {target.name: self._next(target.name, now) for target in targets}
        due = [t for t in targets if self._at[t.name] <= now and t.name not in self._busy]
        for target in due:
            self._busy.add(target.name)
            off = self.check.jitter * (2 * self.draw() - 1)
            self._at[target.name] = now + self.check.interval * (1 + off)
        return due

    def _next(self, name: str, now: float) -> float:
        if name in self._at:
            return self._at[name]
        since = self.since(name)
        if since is None:
            return now + self.draw() * self.check.interval
        return now + max(self.check.interval - since, 0.0)

    def done(self, name: str) -> None:
        """Its probe is over."""
        self._busy.discard(name)

    def pause(self, now: float) -> float:
        """How long there is nothing to do; short enough to notice changes of the instances."""
        return min(max(min(self._at.values(), default=now + _LOOK) - now, 0.01), _LOOK)


class Prober:
    """Probes the instances of one service and publishes verdicts on them.

    Every probe has a thread of its own for as long as it takes, so that none waits for another.
    All it knows is in the verdicts: whoever is elected next goes on where this one ended.
    """

    def __init__(
        self,
        pool: UpstreamPool,
        check: HealthCheck,
        state: SharedState,
        ask: Ask,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._check = check
        self._state = state
        self._ask = ask
        self._monotonic = monotonic

    def run(self, over: threading.Event) -> None:
        """The duty: probe until the event is set."""
        schedule = Schedule(self._check, self._since)
        while not over.is_set():
            targets = [node.target for node in self._pool.nodes]
            for target in schedule.take_due(targets, self._monotonic()):
                threading.Thread(
                    target=self._work,
                    args=(target, over, schedule.done),
                    name=f"gateway-probe-{target.name}",
                    daemon=True,
                ).start()
            over.wait(schedule.pause(self._monotonic()))

    def _since(self, name: str) -> float | None:
        verdict = self._state.get(verdicts.health(self._pool.service, name))
        return None if verdict is None else self._state.clock() - verdict["checked"]

    def _work(self, target: Target, over: threading.Event, done: Callable[[str], None]) -> None:
        try:
            self.probe(target, over)
        except ClientGone:
            pass  # the office was lost meanwhile
        except Exception:
            log.exception("%s: a probe of %s failed", self._pool.service, target.name)
        finally:
            done(target.name)

    def probe(self, target: Target, over: threading.Event) -> None:
        """Ask one instance, and publish what comes of it."""
        failed = ""
        try:
            status = self._ask(target, over)
            if status not in self._check.statuses:
                failed = f"status {status}"
        except UpstreamError as error:
            if error.party != "upstream":
                return
            failed = error.reason
        if over.is_set() or all(node.target.name != target.name for node in self._pool.nodes):
            return
        self._judge(target.name, failed)
        self._lift(target.name, not failed)

    def _judge(self, name: str, failed: str) -> None:
        key = verdicts.health(self._pool.service, name)
        now = self._state.clock()
        was_healthy = verdicts.is_healthy(self._state.get(key), now)
        verdict = self._state.change(key, lambda old: self._check.verdict(old, failed, now))
        if verdict is None or verdict["healthy"] == was_healthy:
            return
        if was_healthy:
            log.warning("%s: %s is unhealthy: %s", self._pool.service, name, failed)
        else:
            log.info("%s: %s is healthy again", self._pool.service, name)

    def _lift(self, name: str, good: bool) -> None:
        key = verdicts.ejected(self._pool.service, name)
        now = self._state.clock()
        ejected = self._state.get(key)
        if ejected is None or now >= ejected["until"]:
            return
        lifted = self._state.change(key, lambda old: probed(old, good, self._check.healthy, now))
        if lifted is not None and lifted["until"] <= now:
            log.info("%s: %s is in again: its probes are good", self._pool.service, name)

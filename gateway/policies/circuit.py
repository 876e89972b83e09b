"""A circuit: what all workers together know of an upstream's failures, and who may try it again.

The shared value of one, all times in the state's clock:

    open       whether requests are kept back
    until      open: before then no request passes. closed: to open before then is to open once
               more in the same trouble
    changed    when it was last opened or closed, 0 for never; results of requests that began
               before are nobody's
    times      how often it was opened in this trouble
    failures   in a row while closed; `since` the first of them, `last` the newest
    probe      who tries whether the trouble is over, and how long that claim holds; or None
    expires    when nobody needs to know any more
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.state import SharedState, Value

#: Seconds for which a probe is left alone without a word from its worker; renewed at beats.
LEASE = 5.0
#: Seconds after which a circuit without requests is forgotten.
FORGOTTEN = 3600.0
#: What an open circuit waits at random beyond its time, as a share of it.
JITTER = 0.1
#: Into how many pieces the window of a ratio is cut.
_SLICES = 10

log = logging.getLogger("gateway.circuits")


@dataclass(frozen=True, slots=True)
class Rules:
    """When a circuit opens, and for how long; see CircuitBreaker."""

    failures: int
    ratio: float | None
    minimum: int
    window: float
    recovery: float
    longest: float

    def waiting(self, value: Value, now: float) -> float:
        """In how many seconds an open circuit may be tried, 0 for now."""
        left: float = value["until"] - now
        if 0 < left <= self.longest * (1 + JITTER):  # more: the clock was set back
            return left
        probe = value["probe"]
        if probe is not None and 0 < probe["until"] - now <= LEASE:
            return 1.0  # it will soon be known
        return 0.0

    def opened(self, old: Value | None, now: float, lot: float) -> Value:
        """An open circuit; `lot` is a random number from 0 to 1."""
        times = 1
        if old is not None and (old["open"] or now < old["until"]):
            times = old["times"] + 1
        until = now + self._pause(times) * (1 + JITTER * lot)
        return _value(now, until, times, is_open=True)

    def closed(self, old: Value, now: float) -> Value:
        """The circuit after a probe that went well."""
        return _value(now, now + self._pause(old["times"]), old["times"])

    def _pause(self, times: int) -> float:
        return min(self.recovery * times, self.longest)

    def failed(self, old: Value | None, now: float) -> Value:
        """A closed circuit with one failure more. A row that paused for `longest` begins anew."""
        base = _value(0.0, now, 0) if old is None else old
        row = base["failures"]
        if row and now - base["last"] > self.longest:
            row = 0
        since = base["since"] if row else now
        expires = max(base["until"], now) + FORGOTTEN
        return {**base, "failures": row + 1, "since": since, "last": now, "expires": expires}

    def too_many(self, all_: int, bad: int) -> bool:
        """Whether so many failures of all requests in the window open the circuit."""
        return self.ratio is not None and all_ >= self.minimum and bad >= self.ratio * all_

    def added(self, old: Value | None, epoch: float, now: float, all_: int, bad: int) -> Value:
        """The counts of the window with some more; those of before the circuit's last change are
        dropped."""
        width = self.window / _SLICES
        slices: dict[str, list[int]] = {}
        if old is not None and now < old["expires"]:
            if old["epoch"] > epoch:
                return old
            if old["epoch"] == epoch:
                first = int(now / width) - _SLICES
                slices = {at: pair for at, pair in old["slices"].items() if int(at) > first}
        at = str(int(now / width))
        before = slices.get(at, [0, 0])
        slices[at] = [before[0] + all_, before[1] + bad]
        return {"epoch": epoch, "slices": slices, "expires": now + self.window}


def _value(changed: float, until: float, times: int, *, is_open: bool = False) -> Value:
    return {
        "open": is_open,
        "until": until,
        "changed": changed,
        "times": times,
        "failures": 0,
        "since": 0.0,
        "last": 0.0,
        "probe": None,
        "expires": until + FORGOTTEN,
    }


@dataclass(slots=True, eq=False)
class Tally:
    """What one worker saw and has not told yet, and its own failures in a row."""

    epoch: float
    requests: float = 0.0
    row: int = 0


@dataclass(slots=True, eq=False)
class Ticket:
    """Leave to send one request. It is settled once: by `good`, `failed` or `void`.

    epoch: the circuit's last change when the request began. probe: its name, empty for none.
    """

    circuit: Circuit
    epoch: float
    probe: str = ""

    def good(self) -> None:
        """The upstream answered as it should."""
        if self.probe:
            self.circuit.close(self)
        else:
            self.circuit.count_success(self.epoch)

    def failed(self) -> None:
        """The upstream failed."""
        if self.probe:
            self.circuit.reopen(self)
        else:
            self.circuit.count_failure(self.epoch)

    def void(self) -> None:
        """Nothing was learned: another request may probe."""
        if self.probe:
            self.circuit.free(self)


class Circuit:
    """One circuit as a worker sees it. Its tally and its running probes are this worker's own."""

    def __init__(
        self,
        name: str,
        rules: Rules,
        state: SharedState,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._key = f"circuit/{name}"
        self._counts = f"requests/{name}"
        self._rules = rules
        self._state = state
        self._draw = draw
        self._tally = Tally(0.0)
        self._probes: dict[str, float] = {}  # how long their claims hold
        self._settling = threading.Lock()  # for the probes; never held while waiting
        self._beat_at = 0.0
        self.idle_beats = 0

    def enter(self) -> Ticket | float:
        """Leave to send a request, or the seconds after which to ask again."""
        value = self._state.get(self._key)
        if value is None:
            return Ticket(self, 0.0)
        if not value["open"]:
            return Ticket(self, value["changed"])
        return self._rules.waiting(value, self._state.clock()) or self._claim()

    def waiting(self) -> float:
        """The seconds after which to ask again; 0: it would let a request through. Nothing is
        claimed."""
        value = self._state.get(self._key)
        if value is None or not value["open"]:
            return 0.0
        return self._rules.waiting(value, self._state.clock())

    def under_way(self) -> Ticket:
        """A ticket for what is left of a request that was let through."""
        value = self._state.get(self._key)
        return Ticket(self, 0.0 if value is None else value["changed"])

    def _claim(self) -> Ticket | float:
        """The probe's ticket, unless another was quicker."""
        probe, rules, clock = os.urandom(8).hex(), self._rules, self._state.clock
        until = clock() + LEASE

        def claimed(old: Value | None) -> Value | None:
            if old is None or not old["open"] or rules.waiting(old, clock()):
                return old
            return {**old, "probe": {"name": probe, "until": until}}

        value = self._state.change(self._key, claimed)
        if value is None or not value["open"]:
            return Ticket(self, 0.0 if value is None else value["changed"])
        if not _probed_by(value, probe):
            return rules.waiting(value, clock()) or 1.0
        with self._settling:
            self._probes[probe] = until
        log.info("%s: circuit half-open, one request tries", self._name)
        return Ticket(self, value["changed"], probe)

    def close(self, ticket: Ticket) -> None:
        """Its probe went well."""
        now = self._state.clock()
        if self._settle(ticket, lambda old: self._rules.closed(old, now)) is not None:
            log.warning("%s: circuit closed", self._name)

    def reopen(self, ticket: Ticket) -> None:
        """Its probe failed."""
        now, lot = self._state.clock(), self._draw()
        value = self._settle(ticket, lambda old: self._rules.opened(old, now, lot))
        if value is not None:
            log.warning("%s: circuit open for %.1f s more", self._name, value["until"] - now)

    def free(self, ticket: Ticket) -> None:
        """Its probe ended and told nothing."""
        self._settle(ticket, lambda old: {**old, "probe": None})

    def _settle(self, ticket: Ticket, edit: Callable[[Value], Value]) -> Value | None:
        """The value that a probe's end brought; None if the claim was lost before."""
        with self._settling:
            self._probes.pop(ticket.probe, None)
        ours = False

        def settled(old: Value | None) -> Value | None:
            nonlocal ours
            ours = _probed_by(old, ticket.probe)
            return edit(old) if ours and old is not None else old

        value = self._state.change(self._key, settled)
        return value if ours else None

    def count_success(self, epoch: float) -> None:
        """A good result of a request that began after the change `epoch`."""
        value = self._state.get(self._key)
        if not _counts_for(value, epoch):
            return
        tally = self._tally_of(epoch)
        tally.requests += 1  # lost sometimes between threads: it is for a ratio
        tally.row = 0
        if value is not None and value["failures"]:
            self._state.change(self._key, lambda old: _cleared(old, epoch))

    def count_failure(self, epoch: float) -> None:
        """A failure of a request that began after the change `epoch`."""
        if not _counts_for(self._state.get(self._key), epoch):
            return
        tally = self._tally_of(epoch)
        tally.row += 1
        all_, bad = self._tell(tally, 1)
        rules, alone, lag = self._rules, tally.row, self._state.lag
        now, lot, opened = self._state.clock(), self._draw(), False

        def counted(old: Value | None) -> Value | None:
            nonlocal opened
            opened = False
            if not _counts_for(old, epoch):
                return old
            new = rules.failed(old, now)
            # Where successes of other workers show late, a row has to be older than that, or
            # this worker's own: many workers with few failures each would look like an outage.
            sure = now - new["since"] >= lag or alone >= rules.failures
            in_a_row = 0 < rules.failures <= new["failures"] and sure
            opened = in_a_row or rules.too_many(all_, bad)
            return rules.opened(old, now, lot) if opened else new

        value = self._state.change(self._key, counted)
        if opened and value is not None:
            log.warning("%s: circuit open for %.1f s", self._name, value["until"] - now)

    def _tally_of(self, epoch: float) -> Tally:
        if self._tally.epoch != epoch:
            self._tally = Tally(epoch)
        return self._tally

    def _tell(self, tally: Tally, bad: int) -> tuple[int, int]:
        """Add what this worker counted to what all did; requests and failures in the window."""
        requests, tally.requests = int(tally.requests) + bad, 0.0
        if self._rules.ratio is None:
            return 0, 0
        now = self._state.clock()
        value = self._state.change(
            self._counts, lambda old: self._rules.added(old, tally.epoch, now, requests, bad)
        )
        if value is None or value["epoch"] != tally.epoch:
            return 0, 0
        pairs = value["slices"].values()
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)

    def beat(self) -> None:
        """Tell what was counted, and renew the claims of probes under way."""
        tally, now = self._tally, self._state.clock()
        since, self._beat_at = now - self._beat_at, now
        self.idle_beats = 0 if tally.requests >= 1 or self._probes else self.idle_beats + 1
        if tally.requests >= 1 and self._rules.ratio is not None and self._somebody_fails(now):
            self._tell(tally, 0)
        else:  # kept for when it matters, and less of it as the window moves on
            tally.requests *= max(0.0, 1.0 - since / self._rules.window)
        if self._probes:
            self._renew()

    def _somebody_fails(self, now: float) -> bool:
        counts = self._state.get(self._counts)
        if counts is None or now >= counts["expires"]:
            return False
        return any(bad for _, bad in counts["slices"].values())

    def _renew(self) -> None:
        now = self._state.clock()
        with self._settling:
            due = [name for name, until in self._probes.items() if until - now < LEASE / 2]
        for name in due:
            until = now + LEASE
            with self._settling:
                if name not in self._probes:
                    continue
                self._probes[name] = until
            self._state.change(self._key, partial(_renewed, name, until))


def _counts_for(value: Value | None, epoch: float) -> bool:
    """Whether a result still says something: nothing was opened or closed since it began."""
    if value is None:
        return epoch == 0.0
    return not value["open"] and value["changed"] == epoch


def _cleared(old: Value | None, epoch: float) -> Value | None:
    """After a success no failure is counted; a circuit that was never open is not kept."""
    if old is None or not _counts_for(old, epoch):
        return old
    return {**old, "failures": 0} if epoch else None


def _probed_by(value: Value | None, probe: str) -> bool:
    claim = None if value is None or not value["open"] else value["probe"]
    return claim is not None and claim["name"] == probe


def _renewed(probe: str, until: float, old: Value | None) -> Value | None:
    if old is None or not _probed_by(old, probe):
        return old
    return {**old, "probe": {"name": probe, "until": until}}

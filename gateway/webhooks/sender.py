"""The loop of the elected worker: what is due is claimed, sent side by side, and settled."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from math import ceil

from gateway.database.errors import DatabaseError
from gateway.parallel import IDLE_SECONDS, Workers
from gateway.webhooks.courier import EACH, Courier
from gateway.webhooks.queue import Claim, Verdict, WebhookQueue

#: Deliveries at the same time, to all partners together.
MOST = 32
#: Seconds between two looks at the database while nothing is to be done.
POLL = 0.5
# Seconds between two sweeps, and between two steps of one.
_SWEEP, _STEP = 3600.0, 1.0
# Seconds that a claim outlasts an exchange: for writing down what came of it.
_MARGIN = 5
# Seconds until a delivery that could not be begun is tried again.
_SOON = 1


class Sender:
    """Sends what the queue has for these couriers' partners, which are all that there are.

    Each partner has 4 deliveries under way at most, and 1 while it fails; all together have 32. So
    one that is slow or dead delays no other. In memory are only those that are under way: when the
    process is killed, they are claimed again as soon as their claim is over.

    seconds: for one exchange. days: see WebhookQueue.sweep. wall: seconds since the epoch.
    """

    def __init__(
        self,
        queue: WebhookQueue,
        couriers: Mapping[str, Courier],
        *,
        seconds: float = 15.0,
        days: int = 14,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._couriers = couriers
        self._lease = ceil(seconds) + _MARGIN
        self._days = days
        self._wall = wall
        self._clock = clock
        self._workers = Workers(MOST, IDLE_SECONDS)
        self._busy: Counter[str] = Counter()
        self._done: deque[Verdict] = deque()
        self._wake = threading.Event()
        self._running = threading.Lock()
        self._swept = clock()

    def run(self, over: threading.Event) -> None:
        """The duty: work until it is over. While the database is away, it waits for it.

        What is under way then ends in its own time, and is settled here: until then, being elected
        again waits.
        """
        with self._running:
            while not over.is_set():
                if not self._worked():
                    self._pause()
            end = self._clock() + self._lease
            while self._busy.total() and self._clock() < end:
                self._pause()
                self._settled()

    def _pause(self) -> None:
        self._wake.wait(POLL)
        self._wake.clear()

    def turn(self) -> int:
        """Settle what is done, and begin what is due and has a place. Returns how many were begun.
        Raises DatabaseError: nothing is lost, what is done is settled by a later turn."""
        self._settle()
        self._sweep()
        places = self._places()
        wanted = {one: places[one] for one in self._queue.due(places)} if places else {}
        if not wanted:
            return 0
        claims = self._queue.claim(self._shared_out(wanted), self._lease)
        for claim in claims:
            self._busy[claim.partner] += 1
            if not self._workers.start(partial(self._deliver, claim)):
                self._done.append(self._put_off(claim))
        return len(claims)

    def _worked(self) -> bool:
        try:
            return self.turn() > 0
        except DatabaseError:
            return False  # it is logged there, once

    def _settled(self) -> None:
        with suppress(DatabaseError):
            self._settle()

    def _settle(self) -> None:
        """Places come free only here: while nothing can be written, no more is under way."""
        verdicts = list(self._done)
        if not verdicts:
            return
        self._queue.settle(verdicts)
        for verdict in verdicts:
            self._done.popleft()
            self._busy[verdict.claim.partner] -= 1

    def _places(self) -> dict[str, int]:
        """How many more may be under way to each partner."""
        if self._busy.total() >= MOST:
            return {}
        now = self._wall()
        free = {
            name: (1 if courier.failing else EACH) - self._busy[name]
            for name, courier in self._couriers.items()
            if courier.hold <= now
        }
        return {name: count for name, count in free.items() if count > 0}

    def _shared_out(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Of these places what there is in all: to those who take deliveries first, then to those
        with the least under way."""
        left = MOST - self._busy.total()
        shared: dict[str, int] = {}
        for name in sorted(wanted, key=lambda one: (self._couriers[one].failing, self._busy[one])):
            if count := min(wanted[name], left):
                shared[name] = count
                left -= count
        return shared

    def _deliver(self, claim: Claim) -> None:
        self._done.append(self._couriers[claim.partner].deliver(claim))
        self._wake.set()

    def _put_off(self, claim: Claim) -> Verdict:
        return Verdict(claim, "pending", int(self._wall()) + _SOON, begun=False)

    def _sweep(self) -> None:
        if self._clock() < self._swept:
            return
        # Before it is tried: one that takes too long must not keep anything from being sent.
        self._swept = self._clock() + _SWEEP
        if self._queue.sweep(int(self._wall()) - self._days * 86_400, list(self._couriers)):
            self._swept = self._clock() + _STEP

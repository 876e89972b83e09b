"""What goes on in a worker beside requests: a beat, and the duties of the one that is elected.

A worker whose application registered nothing has no thread for it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.state.election import Lease
from gateway.state.shared import SharedState

#: Seconds between two beats: how long a change elsewhere may stay unseen.
BEAT = 0.25
#: Beats that make do where nothing but what is not urgent happens: a worker that idles, idles.
SELDOM = 4

Action = Callable[[], None]
#: Works until the event is set, or returns when there is nothing more to do.
Duty = Callable[[threading.Event], None]
#: The office of all duties that name no other.
OFFICE = "elected"
#: Seconds for which the end of a worker waits for a duty that has to end properly.
FAREWELL = 1.0

log = logging.getLogger("gateway")


class Pulse:
    """The background of one worker; every process that uses it has its own thread.

    Actions run at every beat in every worker and must be quick. Duties run in the elected worker
    alone, each in a thread of its own; after an exception a duty is started again a second later.
    Without duties or anything urgent, only every fourth beat takes place.

    realm: gateways that share their state and not their duties have different ones.
    """

    def __init__(self, state: SharedState, *, beat: float = BEAT, realm: str = "") -> None:
        self._state = state
        #: The office of duties that name no other.
        self.office = f"{OFFICE}@{realm}" if realm else OFFICE
        self._beat = beat
        self._urgent = False
        self._actions: list[Action] = []
        self._offices: dict[str, _Office] = {}
        self._owner = 0
        self._wanted = 0  # the process in which it was to begin
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def at_beat(self, action: Action, *, urgent: bool = True) -> None:
        """Have `action` run at every beat. urgent: False if every fourth would do."""
        self._actions.append(action)
        self._urgent = self._urgent or urgent
        if self._wanted == os.getpid():
            self.begin()

    def when_elected(
        self, name: str, duty: Duty, *, office: str = "", awaited: bool = False
    ) -> None:
        """Have `duty` run in the elected worker; `name` is for the log and its thread.

        office: what the worker is elected for; empty for the usual. With a name of the machine's
        own, there is one for it also where machines share their state. awaited: the end of the
        worker waits for the duty to return, a second at most.
        """
        office = office or self.office
        known = self._offices.setdefault(office, _Office(self._state, office))
        known.duties.append(_Task(name, duty, awaited))

    @property
    def elected(self) -> bool:
        """Whether this worker is the elected one."""
        return self.office in self._offices and self._offices[self.office].held

    def begin(self) -> None:
        """Start, once in each process; if there is nothing to do, when there is."""
        self._wanted = os.getpid()
        if self._owner == os.getpid() or not (self._actions or self._offices):
            return
        with self._starting:
            if self._owner == os.getpid():
                return
            self._owner = os.getpid()
            self._over = threading.Event()
            for office in self._offices.values():
                office.begin()
            self._thread = threading.Thread(target=self._run, name="gateway-pulse", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop, and leave the office to another at once."""
        self._wanted = 0
        if self._thread is not None and self._owner == os.getpid():
            self._over.set()
            self._thread.join(1.0 + FAREWELL * any(o.awaited for o in self._offices.values()))

    def _run(self) -> None:
        offices = list(self._offices.values())
        first = [self._state.refresh, *[office.campaign for office in offices]]
        complaints: dict[int, str] = {}
        while True:
            for number, step in enumerate([*first, *self._actions]):
                self._take(step, number, complaints)
            if self._over.wait(self._beat * (1 if self._urgent or offices else SELDOM)):
                break
        for office in offices:
            office.leave()
        end = time.monotonic() + FAREWELL
        for office in offices:
            office.await_end(end)

    def _take(self, step: Action, number: int, complaints: dict[int, str]) -> None:
        """Do one thing; what goes wrong with it keeps no other from being done."""
        try:
            step()
            complaints.pop(number, None)
        except Exception as error:  # the next beat may do better
            if complaints.get(number) != repr(error):  # once, not four times a second
                log.exception("a beat failed")
                complaints[number] = repr(error)


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    duty: Duty
    awaited: bool


class _Office:
    """Something to be elected for, and the duties of who is."""

    def __init__(self, state: SharedState, name: str) -> None:
        self.duties: list[_Task] = []
        self._state = state
        self._name = name
        self.begin()

    def begin(self) -> None:
        """Begin anew, in a new process."""
        self._lease = Lease(self._state, self._name)
        self._over: threading.Event | None = None  # set when the office is lost
        self._awaited: list[threading.Thread] = []

    @property
    def held(self) -> bool:
        """Whether this worker has it."""
        return self._over is not None

    @property
    def awaited(self) -> bool:
        """Whether the end of the worker may have to wait."""
        return any(task.awaited for task in self.duties)

    def campaign(self) -> None:
        """Take the office or keep it, if no other has it."""
        try:
            elected = self._lease.take()
        except BaseException:
            self._lost()  # another may be elected by now
            raise
        if not elected:
            self._lost()
        elif self._over is None:
            self._over = over = threading.Event()
            begun = [(_begun(task, over), task.awaited) for task in self.duties]
            self._awaited = [thread for thread, awaited in begun if awaited]

    def _lost(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None

    def leave(self) -> None:
        """Leave it to another at once."""
        if self._over is not None:
            self._lost()
            try:
                self._lease.give_up()
            except Exception as error:  # noqa: BLE001  it runs out by itself
                log.warning("the office could not be handed over: %s", type(error).__name__)

    def await_end(self, end: float) -> None:
        """Wait for the duties that have to end properly, until a monotonic time."""
        for thread in self._awaited:
            thread.join(max(end - time.monotonic(), 0.0))


def _begun(task: _Task, over: threading.Event) -> threading.Thread:
    thread = threading.Thread(
        target=_serve, args=(task.name, task.duty, over), name=f"gateway-{task.name}", daemon=True
    )
    thread.start()
    return thread


def _serve(name: str, duty: Duty, over: threading.Event) -> None:
    while not over.is_set():
        try:
            duty(over)
            return
        except Exception:
            log.exception("%s failed and is started again", name)
            over.wait(1.0)

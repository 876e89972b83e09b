"""What goes on in a worker beside requests: a beat, and the duties of the one that is elected.

A worker whose application registered nothing has no thread for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from gateway.state.election import Lease
from gateway.state.shared import SharedState

#: Seconds between two beats: how long a change elsewhere may stay unseen.
BEAT = 0.25

Action = Callable[[], None]
#: Works until the event is set, or returns when there is nothing more to do.
Duty = Callable[[threading.Event], None]

log = logging.getLogger("gateway")


class Pulse:
    """The background of one worker; every process that uses it has its own thread.

    Actions run at every beat in every worker and must be quick. Duties run in the elected worker
    alone, each in a thread of its own; after an exception a duty is started again a second later.
    """

    def __init__(self, state: SharedState, *, beat: float = BEAT) -> None:
        self._state = state
        self._beat = beat
        self._actions: list[Action] = []
        self._duties: list[tuple[str, Duty]] = []
        self._owner = 0
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._elected: threading.Event | None = None  # set when the office is lost

    def at_beat(self, action: Action) -> None:
        """Have `action` run at every beat; to be told before the pulse begins."""
        self._actions.append(action)

    def when_elected(self, name: str, duty: Duty) -> None:
        """Have `duty` run in the elected worker; `name` is for the log and its thread."""
        self._duties.append((name, duty))

    @property
    def elected(self) -> bool:
        """Whether this worker is the elected one."""
        return self._elected is not None

    def begin(self) -> None:
        """Start, once in each process; nothing if there is nothing to do."""
        if self._owner == os.getpid() or not (self._actions or self._duties):
            return
        with self._starting:
            if self._owner == os.getpid():
                return
            self._owner = os.getpid()
            self._over = threading.Event()
            self._elected = None
            self._thread = threading.Thread(target=self._run, name="gateway-pulse", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop, and leave the office to another at once."""
        if self._thread is not None and self._owner == os.getpid():
            self._over.set()
            self._thread.join(1.0)

    def _run(self) -> None:
        lease = Lease(self._state, "elected")
        complained = ""
        while True:
            try:
                self._once(lease)
                complained = ""
            except Exception as error:  # the next beat may do better
                if complained != repr(error):  # once, not four times a second
                    log.exception("a beat failed")
                    complained = repr(error)
            if self._over.wait(self._beat):
                break
        self._leave(lease)

    def _once(self, lease: Lease) -> None:
        self._state.refresh()
        if self._duties:
            self._campaign(lease)
        for action in self._actions:
            action()

    def _campaign(self, lease: Lease) -> None:
        if not lease.take():
            self._lost()
        elif self._elected is None:
            self._elected = threading.Event()
            for name, duty in self._duties:
                threading.Thread(
                    target=_serve,
                    args=(name, duty, self._elected),
                    name=f"gateway-{name}",
                    daemon=True,
                ).start()

    def _lost(self) -> None:
        if self._elected is not None:
            self._elected.set()
            self._elected = None

    def _leave(self, lease: Lease) -> None:
        if self._elected is not None:
            self._lost()
            try:
                lease.give_up()
            except Exception as error:  # noqa: BLE001  it runs out by itself
                log.warning("the office could not be handed over: %s", type(error).__name__)


def _serve(name: str, duty: Duty, over: threading.Event) -> None:
    while not over.is_set():
        try:
            duty(over)
            return
        except Exception:
            log.exception("%s failed and is started again", name)
            over.wait(1.0)

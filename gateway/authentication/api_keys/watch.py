"""Finding out which keys changed, wherever that was done: by asking the database, again and again.

Not through the shared state: keys are changed by a command that may run on another machine, and
what all have in common then is the database.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable

from gateway.authentication.api_keys.queries import KeyQueries
from gateway.database.errors import DatabaseError

#: Seconds between two questions.
PAUSE = 0.4
#: Seconds after which a question without an answer is late.
LATE = 0.5
#: Seconds without a request that has a key, after which it rests.
REST = 5.0
# Seconds for which the end of a worker waits for the thread.
_FAREWELL = 1.0

#: Told the revision, and which keys changed up to it; None: all may have.
Learn = Callable[[int, Iterable[str] | None], None]

log = logging.getLogger("gateway")


class Watch:
    """A thread of its own in each worker that meets keys; it rests while there are none.

    confirmed: everything that changed before this moment is known. failed: the last question got
    no answer. used: set by who uses what is remembered; without it the thread rests. clock:
    monotonic seconds.
    """

    def __init__(
        self,
        queries: KeyQueries,
        learn: Learn,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
    ) -> None:
        self._queries = queries
        self._learn = learn
        self._clock = clock
        self._pause = pause
        self._owner = 0
        self._starting = threading.Lock()
        self._seen: int | None = None
        self.failed = False
        self._asked_at = math.inf  # when the question under way was asked
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.confirmed = -math.inf
        self.used = False

    def late(self, now: float) -> bool:
        """Whether the database has been asked and takes its time."""
        return now - self._asked_at > LATE

    def wake(self) -> None:
        """See to it that the thread runs, in this process, and asks. Never waits for it."""
        if self._owner != os.getpid():
            with self._starting:
                if self._owner != os.getpid():
                    self._owner = os.getpid()
                    self._wanted = threading.Event()
                    self._over = threading.Event()
                    self.failed, self._asked_at = False, math.inf
                    self._thread = threading.Thread(
                        target=self._run, name="gateway-keys", daemon=True
                    )
                    self._thread.start()
        if not self._wanted.is_set():
            self._wanted.set()

    def close(self) -> None:
        """End the thread; waits for it for a moment."""
        if self._thread is not None and self._owner == os.getpid():
            self._over.set()
            self._wanted.set()
            self._thread.join(_FAREWELL)

    def ask(self) -> None:
        """Ask once, and tell what is new."""
        began = self._asked_at = self._clock()
        try:
            number, changed = self._queries.changes(self._seen)
        except DatabaseError:
            self.failed = True  # it is logged
        except Exception:
            log.exception("whether API keys changed is not known")
            self.failed = True
        else:
            if changed is None or changed:
                self._learn(number, changed)
            elif number != self._seen:
                self._learn(number, ())
            self._seen = number
            self.confirmed = began
            self.failed = False
        finally:
            self._asked_at = math.inf

    def _run(self) -> None:
        used_at = self._clock()
        while not self._over.is_set():
            self.ask()
            self._over.wait(self._pause)
            now = self._clock()
            if self.used:
                self.used, used_at = False, now
            elif now - used_at > REST:
                self.failed = False  # nobody knows; who comes next will ask
                self._wanted.clear()
                self._wanted.wait()
                used_at = self._clock()

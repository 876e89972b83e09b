"""What is done beside a request: a bounded number of background workers, one task each.

They are threads, which are greenlets where gevent has patched the standard library. State of this
worker process alone: nothing is started before its first use, which comes after the fork.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

#: Most tasks at a time of a process whose tasks are threads, and of one with greenlets.
THREADS = 64
GREENLETS = 512
#: How long a thread that has nothing to do is kept, in seconds.
IDLE_SECONDS = 10.0

Task = Callable[[], object]

log = logging.getLogger("gateway")


class Workers:
    """At most `most` tasks at a time, each begun at once or not at all: none waits in a queue.

    Threads are daemons: a task that hangs does not keep the process from ending. One that has been
    idle for `idle_seconds` ends by itself.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        self.most = most
        self._idle_seconds = idle_seconds
        self._idle: deque[SimpleQueue[Task]] = deque()
        self._count = 0
        self._counting = threading.Lock()

    def start(self, task: Task) -> bool:
        """Have a task done; False if as many as may be are under way, and it will not be."""
        try:
            inbox = self._idle.pop()  # the newest: what is not needed gets old, and ends
        except IndexError:
            return self._hire(task)
        inbox.put(task)
        return True

    def _hire(self, task: Task) -> bool:
        with self._counting:
            if self._count >= self.most:
                return False
            self._count += 1
        inbox: SimpleQueue[Task] = SimpleQueue()
        inbox.put(task)
        thread = threading.Thread(
            target=self._serve, args=(inbox,), name="gateway-parallel", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            self._leave()
            return False
        return True

    def _serve(self, inbox: SimpleQueue[Task]) -> None:
        try:
            while (task := self._next(inbox)) is not None:
                try:
                    task()
                except Exception:
                    log.exception("a task beside the requests failed")
                del task  # or what it holds would live until the next one comes
                self._idle.append(inbox)
        finally:
            self._leave()

    def _next(self, inbox: SimpleQueue[Task]) -> Task | None:
        try:
            return inbox.get(timeout=self._idle_seconds)
        except Empty:
            pass
        try:
            self._idle.remove(inbox)
        except ValueError:  # taken at this moment: a task is on its way
            return inbox.get()
        return None

    def _leave(self) -> None:
        with self._counting:
            self._count -= 1


# By process: a child of a fork has none of its parent's threads.
_workers: dict[int, Workers] = {}


def start(task: Task) -> bool:
    """Have a task done beside this worker's requests, now; False if too much is under way.

    A task ends by itself in bounded time; nothing cancels it. What it raises is logged.
    """
    process = os.getpid()
    workers = _workers.get(process)
    if workers is None:
        most = GREENLETS if _greenlets() else THREADS
        workers = _workers.setdefault(process, Workers(most, IDLE_SECONDS))
    return workers.start(task)


def _greenlets() -> bool:
    """Whether threads are greenlets here."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))

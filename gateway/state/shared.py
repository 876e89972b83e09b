"""What the workers tell each other: small values by name, read often and seldom changed.

Verdicts on targets, circuits, who is elected, which instances there are. Reading costs a look
into memory; changing one is atomic among all who share the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from gateway.state.embedded import EmbeddedStore

Value = dict[str, Any]
#: Makes the new value of the old one (None: not there; returning None removes it). It runs inside
#: the store's lock and perhaps more than once: it must be quick, pure, and neither wait nor log.
Edit = Callable[[Value | None], Value | None]

TABLE = b"verdicts"


class SharedState(Protocol):
    """Values that all workers share; JSON objects under names such as `circuit/orders`.

    Whoever gets one has a copy of his own. One with a member `expires`, in this clock, means
    nothing from then on and is swept away (`gateway.state.sweeping`); others stay until removed.
    """

    @property
    def lag(self) -> float:
        """For how long a change made elsewhere may stay unseen, in seconds; 0: seen at once."""
        ...

    def clock(self) -> float:
        """Seconds of a clock that all who share the store agree on; what `until` is told in."""
        ...

    def get(self, key: str) -> Value | None:
        """A value, out of memory. Changes made elsewhere show within a beat, our own at once."""
        ...

    def scan(self, prefix: str) -> dict[str, Value]:
        """All values whose name begins with `prefix`; as fresh as with `get`."""
        ...

    def change(self, key: str, edit: Edit) -> Value | None:
        """Change a value in one step and return it as it is now."""
        ...

    def refresh(self) -> None:
        """Look what others changed, where `get` cannot see it by itself; called at every beat."""
        ...


class MemoryState:
    """This process alone. For tests, and when nothing else can be had.

    Values are kept as the other stores keep them: what cannot be stored there fails here, too.
    """

    lag = 0.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        stored = self._values.get(key)
        return None if stored is None else orjson.loads(stored)

    def scan(self, prefix: str) -> dict[str, Value]:
        """See SharedState.scan."""
        with self._lock:
            found = {key: value for key, value in self._values.items() if key.startswith(prefix)}
        return {key: orjson.loads(value) for key, value in found.items()}

    def change(self, key: str, edit: Edit) -> Value | None:
        """See SharedState.change."""
        with self._lock:
            stored = self._values.get(key)
            new = edit(None if stored is None else orjson.loads(stored))
            if new is None:
                self._values.pop(key, None)
            else:
                self._values[key] = orjson.dumps(new)
            return new

    def refresh(self) -> None:
        """Nobody else changes anything here."""


class EmbeddedState:
    """The workers of a machine, through LMDB: what one changes, the others read at once.

    Raises StoreError or OSError when the store cannot be used. A key has at most 511 bytes.
    """

    lag = 0.0

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store

    def clock(self) -> float:
        """The machine's monotonic clock: the same in all of its processes."""
        return time.monotonic()

    def get(self, key: str) -> Value | None:
        """See SharedState.get."""
        with self._store.read(TABLE) as transaction:
            stored = transaction.get(key.encode())
        return None if stored is None else orjson.loads(stored)

    def scan(self, prefix: str) -> dict[str, Value]:
        """See SharedState.scan."""
        begin = prefix.encode()
        found: dict[str, Value] = {}
        with self._store.read(TABLE) as transaction:
            cursor = transaction.cursor()
            more = cursor.set_range(begin)
            while more and cursor.key().startswith(begin):
                found[cursor.key().decode()] = orjson.loads(cursor.value())
                more = cursor.next()
        return found

    def change(self, key: str, edit: Edit) -> Value | None:
        """See SharedState.change."""
        name = key.encode()
        with self._store.write(TABLE) as transaction:
            stored = transaction.get(name)
            new = edit(None if stored is None else orjson.loads(stored))
            if new is None:
                transaction.delete(name)
            else:
                transaction.put(name, orjson.dumps(new))
        return new

    def refresh(self) -> None:
        """Reading sees every change at once."""

"""Each store of shared state, opened anew: here, or in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gateway.state import EmbeddedState, EmbeddedStore, SharedState

#: What a process does, and with what.
Work = tuple[Callable[..., None], tuple[Any, ...]]

# As gunicorn's workers do not: nothing is inherited, so nothing can be shared by mistake.
context = multiprocessing.get_context("spawn")


def open_store(place: str) -> SharedState:
    """A worker's own view of the store at `place`: a folder, or a URL of Redis."""
    if not place.startswith("redis://"):
        return EmbeddedState(EmbeddedStore(Path(place)))
    from gateway.state.redis_state import RedisState

    return RedisState(place, 5.0)


@contextmanager
def processes(works: list[Work]) -> Iterator[list[BaseProcess]]:
    """Processes at work, each of them ended with the block."""
    running: list[BaseProcess] = [context.Process(target=work, args=args) for work, args in works]
    for process in running:
        process.start()
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.join(10)
            process.close()

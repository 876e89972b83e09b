"""An embedded store to be filled, damaged, and looked at."""

from __future__ import annotations

import random
from pathlib import Path

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.store import Purge
from tests.caching.stores import data_of, put

SIZE = 1024 * 1024
NAMES = range(30)


def data_file(tmp_path: Path) -> Path:
    """The file with the answers."""
    [found] = (tmp_path / "responses").glob("*/data.mdb")
    return found


def body(name: object, length: int = 9000) -> bytes:
    """Bytes that stand nowhere else."""
    return random.Random(repr(name)).randbytes(length)


def fill_up(responses: EmbeddedResponses) -> None:
    """Keep something under each of the names."""
    for name in NAMES:
        assert put(responses, name, body(name), url=f"/{name}?q", tags=["t", f"t{name}"])


def works(responses: EmbeddedResponses) -> bool:
    """Whether something is kept, found, and dropped."""
    assert put(responses, "new", b"new", tags=["new"])
    return data_of(responses, "new") == b"new" and responses.purge(Purge("tag", "new")) == 1

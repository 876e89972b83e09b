"""What the tests of webhooks share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database.engine import Database
from gateway.database.schema import upgrade
from tests.webhooks.receiver import Receiver, receiving


class Clock:
    """Seconds since the epoch, as a test says."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def partner() -> Iterator[Receiver]:
    """A partner that takes webhooks."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def empty_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables, to be copied: making them anew takes longer."""
    path = tmp_path_factory.mktemp("webhooks") / "records.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def module_url(empty_records: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite database that is ready to use by all tests of a module."""
    copied = shutil.copy(empty_records, tmp_path_factory.mktemp("module") / "records.db")
    return f"sqlite:///{copied}"


@pytest.fixture
def sqlite_url(empty_records: Path, tmp_path: Path) -> str:
    """A SQLite database that is ready to use."""
    return f"sqlite:///{shutil.copy(empty_records, tmp_path / 'records.db')}"


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """The same, open."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()

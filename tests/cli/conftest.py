"""A gateway's folder of its own for the tests that run commands in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Folder, copied


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A copy that tests only read."""
    return copied(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def own(tmp_path: Path) -> Folder:
    """A copy that a test may change."""
    return copied(tmp_path)

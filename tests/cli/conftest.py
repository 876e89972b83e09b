"""A gateway's folder of its own for the tests that run commands in one."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

from tests.cli.support import Folder, copied


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A copy that tests only read; compiled, so that no copy of it needs to be."""
    folder = copied(tmp_path_factory.mktemp("shared"))
    assert compileall.compile_dir(folder.path, quiet=1)
    return folder


@pytest.fixture
def own(shared: Folder, tmp_path: Path) -> Folder:
    """A copy that a test may change."""
    return copied(tmp_path, shared.path)

"""Fixtures of more than one room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing import ScriptedUpstream


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedUpstream]:
    """The scripted upstream that long-running gateways point at; tests take `upstream`."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(scripted: ScriptedUpstream) -> Iterator[ScriptedUpstream]:
    """A scripted upstream that has neither scripts, recordings nor connections yet."""
    scripted.reset()
    yield scripted
    scripted.reset()

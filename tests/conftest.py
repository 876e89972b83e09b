"""Fixtures of more than one room."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from gateway.testing import ScriptedUpstream

# Where a run decides, the same examples each time; elsewhere new ones, which find more.
hypothesis.settings.register_profile("repeatable", derandomize=True, print_blob=False)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("repeatable")


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

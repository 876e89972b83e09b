"""Connections to authorisation services are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.authentication import authorization_service
from gateway.transport.calls import Caller


@pytest.fixture(autouse=True)
def callers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Caller]]:
    """What was made to call authorisation services; a worker keeps its connections for good."""
    made: list[Caller] = []

    def make(*arguments: Any, **options: Any) -> Caller:
        made.append(Caller(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(authorization_service, "Caller", make)
    yield made
    for caller in made:
        caller._session.close()

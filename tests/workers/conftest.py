"""What the worker tests share: both worker classes, and a gateway of two workers for each test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.gunicorn import Gateway, start_gateway

Start = Callable[..., AbstractContextManager[Gateway]]


@pytest.fixture(params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    """The gunicorn worker under test."""
    return str(request.param)


@pytest.fixture
def start(worker_class: str, upstream: ScriptedUpstream) -> Start:
    """Start a gateway whose service `/plain` leads to the scripted upstream; settings by name."""

    def start_with(workers: int = 2, **settings: str) -> AbstractContextManager[Gateway]:
        return start_gateway(
            "tests.workers.app:app",
            worker_class=worker_class,
            workers=workers,
            env={"PLAIN_URL": upstream.url, "GRACEFUL_TIMEOUT": "20", **settings},
        )

    return start_with

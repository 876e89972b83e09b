"""What the chaos tests share: both worker classes, and a gateway in front of given backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from tests.chaos.backends import Instance
from tests.support.gunicorn import Gateway, start_gateway

Start = Callable[..., AbstractContextManager[Gateway]]
_NAMES = ("shop", "hung", "calm", "outage", "mixed")


@pytest.fixture(params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    """The gunicorn worker under test."""
    return str(request.param)


@pytest.fixture
def start(worker_class: str) -> Start:
    """Start a gateway: `start(shop=[one, two], workers=2, SETTING="x")`."""

    def start_with(
        workers: int = 2, **given: Sequence[Instance] | str
    ) -> AbstractContextManager[Gateway]:
        settings = {f"{name.upper()}_URL": "" for name in _NAMES}
        for name, value in given.items():
            if isinstance(value, str):
                settings[name] = value
            else:
                settings[f"{name.upper()}_URL"] = ",".join(one.url for one in value)
        settings.setdefault("ACCESS_LOG", "false")
        return start_gateway(
            "tests.chaos.app:app", worker_class=worker_class, workers=workers, env=settings
        )

    return start_with

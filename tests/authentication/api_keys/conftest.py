"""A gateway with a database of keys, asked in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from gateway import Service
from gateway.testing_stub import StubRequest, StubTransport
from tests.support.wsgi import Answer, call, make_app


@dataclass(frozen=True, slots=True)
class House:
    """A gateway, the backend behind it, and its database."""

    app: Flask
    backend: StubTransport
    url: str

    def get(self, path: str, *headers: tuple[str, str]) -> Answer:
        """Ask with these fields."""
        return call(self.app, path, headers=headers)

    @property
    def reached(self) -> StubRequest:
        """The last request that the backend was sent."""
        return self.backend.requests[-1]

    def close(self) -> None:
        """End what runs beside requests, as the worker's end would."""
        gateway = self.app.extensions["gateway"]
        gateway.pulse.end()
        if gateway.records is not None:
            gateway.records.close()

    def flush(self) -> None:
        """Write what was counted, as the worker's thread would."""
        self.app.extensions["gateway"].records.usage.flush()


Build = Callable[..., House]


@pytest.fixture
def build(database_url: str) -> Iterator[Build]:
    """Makes a gateway of services that share a backend, with settings by name."""
    houses: list[House] = []

    def make(backend: StubTransport, *services: Service, **settings: Any) -> House:
        usual = {"API_KEYS": True, "DATABASE_URL": database_url, "JWT_SECRET": ""}
        app = make_app(*services, **{**usual, **settings})
        houses.append(House(app, backend, database_url))
        return houses[-1]

    yield make
    for house in houses:
        house.close()

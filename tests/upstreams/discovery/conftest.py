"""Played registries; see the modules they come from for what they can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upstreams.discovery.consul_server import ConsulServer
from tests.upstreams.discovery.eureka_server import EurekaServer


@pytest.fixture
def consul() -> Iterator[ConsulServer]:
    """A Consul that knows nothing yet."""
    with ConsulServer() as server:
        yield server


@pytest.fixture
def eureka() -> Iterator[EurekaServer]:
    """A Eureka that knows nothing yet."""
    with EurekaServer() as server:
        yield server

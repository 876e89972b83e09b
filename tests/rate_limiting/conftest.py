"""Stores and applications of the rate limiting tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from gateway import Service, create_app
from gateway.rate_limiting.embedded import EmbeddedWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.state import EmbeddedStore
from settings import Settings
from tests.rate_limiting.redis_server import BINARY, RedisServer, start_redis
from tests.rate_limiting.shifted import Clock, Store, redis_store, store_of
from tests.support.gunicorn import SECRET

_fresh = itertools.count()
MakeClient = Callable[..., FlaskClient]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for tests that leave it running."""
    if BINARY is None:
        pytest.skip("there is no redis-server here")
    with start_redis() as server:
        yield server


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """An embedded store with nothing in it."""
    store = EmbeddedStore(tmp_path / "state")
    yield store
    store.close()


@pytest.fixture(scope="module", params=["memory", "lmdb", "redis"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Each of the stores; tests of a module share it, so they take keys of their own."""
    clock = Clock()
    if request.param == "memory":
        yield store_of(MemoryWindows(clock), clock)
    elif request.param == "lmdb":
        opened = EmbeddedStore(tmp_path_factory.mktemp("lmdb"))
        yield store_of(EmbeddedWindows(opened, clock), clock)
        opened.close()
    else:
        from gateway.rate_limiting.redis_store import RedisWindows

        server: RedisServer = request.getfixturevalue("redis_server")
        yield redis_store(RedisWindows(server.url, 5.0), server.url)


@pytest.fixture
def key() -> str:
    """A key that no other test has used."""
    return f"key {next(_fresh)}"


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """Makes an application of services and settings; answers with its test client."""
    stores: list[EmbeddedStore | None] = []

    def make(*services: Service, **options: object) -> FlaskClient:
        usual: dict[str, object] = {
            "JWT_SECRET": SECRET,
            "STATE_URL": f"lmdb://{tmp_path / f'state{len(stores)}'}",
            "RATE_LIMIT_DEFAULT": "",
            "ACCESS_LOG": False,
        }
        app = create_app(Settings.model_validate({**usual, **options}), services=services)
        stores.append(app.extensions["gateway"].store)
        return app.test_client()

    yield make
    for opened in stores:
        if opened is not None:
            opened.close()

"""Fixtures of more than one room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.pulse import Pulse
from gateway.testing import ScriptedUpstream
from tests.support.oidc_provider import OidcProvider, start_oidc_provider
from tests.support.postgresql import BINARIES, PostgresServer, start_postgresql
from tests.support.warm import end_starters

# Where a run decides, the same examples each time; elsewhere new ones, which find more. How long
# one takes says nothing: it may be a slow machine.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, print_blob=False, deadline=None
)
hypothesis.settings.register_profile("exploring", deadline=None)
hypothesis.settings.load_profile("repeatable" if os.environ.get("CI") else "exploring")


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


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """A real authorisation server with the usual clients. A test that gives it other keys, stops
    it or makes it hang starts one of its own."""
    with start_oidc_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL for tests that leave it running."""
    if BINARIES is None:
        pytest.skip("there is no PostgreSQL here")
    with start_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables, of each kind that there is."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def database_url(empty_url: str) -> str:
    """The address of a database that is ready to use, of each kind."""
    upgrade(empty_url)
    return empty_url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database that is ready to use, of each kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session", autouse=True)
def _starters_end() -> Iterator[None]:
    """End what programs were started with."""
    yield
    end_starters()


@pytest.fixture(scope="module", autouse=True)
def _pulses_end() -> Iterator[None]:
    """End what goes on beside requests in applications that a module's tests made in this process:
    it would log into the tests of other modules."""
    begun: list[Pulse] = []
    run = Pulse._run

    def noted(self: Pulse) -> None:
        begun.append(self)
        run(self)

    with pytest.MonkeyPatch.context() as patch:
        # Applications made as the module was imported have taken hold of `begin` by now.
        patch.setattr(Pulse, "_run", noted)
        yield
    for pulse in begun:
        pulse.end()

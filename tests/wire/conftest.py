"""The gateways of the wire tests: started once for each worker class, shared by all tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.backlog import full_backlog
from tests.support.gunicorn import Gateway, free_port, start_gateway

Start = Callable[..., Gateway]
PSEUDONYM = "edge-under-test"
_SERVICES = (
    "plain",
    "slashes",
    "stripped",
    "partly",
    "host",
    "quick",
    "small",
    "big",
    "cached",
    "shaped",
    "guarded",
)


@pytest.fixture(scope="session", params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    """The gunicorn worker under test: every wire test runs under each."""
    return str(request.param)


@pytest.fixture(scope="session")
def environment(
    scripted: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The services' upstreams, amid traps: a proxy and a `.netrc` that must not be used."""
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login netrc-user password netrc-secret\n")
    Path(home / ".netrc").chmod(0o600)
    nobody = f"http://127.0.0.1:{free_port()}"
    with full_backlog() as full:
        yield {
            **{f"{name.upper()}_URL": scripted.url for name in _SERVICES},
            "BASED_URL": f"{scripted.url}/base/",
            "REFUSED_URL": nobody,
            "FULL_URL": f"http://127.0.0.1:{full}",
            "EMPTY_URL": "",
            "VIA_PSEUDONYM": PSEUDONYM,
            "SECURITY_LOG_RATE": "0",
            "HOME": str(home),
            "NETRC": str(home / ".netrc"),
            **dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), nobody),
        }


@pytest.fixture(scope="session")
def started(environment: dict[str, str]) -> Iterator[Start]:
    """Starts a gateway with these settings, or gives the one that is up. They stay up together:
    where files are run one by one, the worker class changes within each."""
    running: dict[tuple[str, ...], Gateway] = {}
    with contextlib.ExitStack() as stack:

        def start(worker_class: str, **settings: str) -> Gateway:
            key = (worker_class, *settings)
            if key not in running:
                env = {**environment, **settings}
                starting = start_gateway(worker_class=worker_class, env=env)
                running[key] = stack.enter_context(starting)
            return running[key]

        yield start


@pytest.fixture(scope="module")
def gateway(worker_class: str, started: Start) -> Iterator[Gateway]:
    """A gateway that trusts no proxy in front of it."""
    running = started(worker_class)
    before = len(running.stderr_text())
    yield running
    assert "Traceback" not in running.stderr_text()[before:]


@pytest.fixture(scope="module")
def trusting(worker_class: str, started: Start) -> Gateway:
    """A gateway behind trusted proxies, which also writes `Forwarded`."""
    trust = {"TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8, fd00::/8", "FORWARDED_HEADER": "true"}
    return started(worker_class, **trust)

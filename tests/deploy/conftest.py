"""One gateway on a unix socket, and nginx before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.testing import ScriptedUpstream
from tests.deploy.nginx import NGINX, Nginx, start_nginx
from tests.support.gunicorn import Gateway, start_gateway


@pytest.fixture(scope="session")
def gateway(scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway that trusts whoever is on its socket."""
    env = {"PLAIN_URL": scripted.url, "TRUSTED_PROXIES": "unix", "MAX_BODY_BYTES": "0"}
    with start_gateway("tests.workers.app:app", workers=2, env=env, unix=True) as running:
        yield running


@pytest.fixture(scope="session")
def nginx(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx with the file that is deployed."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    with start_nginx(tmp_path_factory.mktemp("nginx"), str(gateway.address)) as running:
        yield running

"""A backend that verifies internal tokens as any would: with a library and the published keys."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from gateway.testing import ScriptedUpstream
from tests.authentication.support import key_pair
from tests.support.client import exchange
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.support.messages import request
from tests.support.wsgi import bearer


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's client asks our port, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    """The gunicorn worker under test."""
    return str(request.param)


@pytest.fixture
def backend() -> Iterator[ScriptedUpstream]:
    """What both services lead to."""
    with ScriptedUpstream() as upstream:
        yield upstream


def start(backend: ScriptedUpstream, worker_class: str, key: str, **more: str) -> Any:
    """A gateway of two workers with these keys."""
    return start_gateway(
        "tests.authentication.token_app:app",
        worker_class=worker_class,
        workers=2,
        env={"BACKEND": backend.url, "INTERNAL_TOKEN_KEY": key, **more},
    )


def token_for(gateway: Gateway, backend: ScriptedUpstream, path: str = "/orders/7") -> str:
    """The token that a backend is sent."""
    name, value = bearer("a:b", roles=["r"], scope="s.t")
    message = request(path.encode(), f"{name}: {value}".encode())
    assert exchange(gateway.port, message).status == 200
    (token,) = backend.requests[-1].header(b"X-Internal-Token")
    return token.decode()


def verified(gateway: Gateway, token: str, audience: str = "orders") -> dict[str, Any]:
    """What a backend reads, by keys that it fetches."""
    client = jwt.PyJWKClient(f"http://127.0.0.1:{gateway.port}/.well-known/jwks.json")
    key = client.get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(token, key, audience=audience, issuer="gatehouse")
    return claims


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_backend_verifies_it(
    backend: ScriptedUpstream, worker_class: str, algorithm: str
) -> None:
    private = key_pair(algorithm)[0]
    with start(backend, worker_class, f"{algorithm}:env:MINE", MINE=private) as gateway:
        claims = verified(gateway, token_for(gateway, backend))
        assert (claims["sub"], claims["roles"], claims["scope"]) == ("ada", ["r"], "s.t")
        assert claims["permissions"] == ["a:b", "s.t"]
        received = backend.requests[-1]
        assert received.header(b"X-User-ID") == []
        assert verified(gateway, token_for(gateway, backend, "/users/7"), "users")["sub"] == "ada"
        assert backend.requests[-1].header(b"X-User-ID") == [b"ada"]
        with pytest.raises(jwt.InvalidAudienceError):
            verified(gateway, token_for(gateway, backend), "users")
        assert "Traceback" not in gateway.stderr_text()


def test_a_key_is_rotated(backend: ScriptedUpstream, worker_class: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    old, new = key_pair("ES256")[0], key_pair("EdDSA")[0]
    first.write_text(old)
    second.write_text(new)
    before = f"old=ES256:file:{first},new=EdDSA:file:{second}"
    with start(backend, worker_class, before) as gateway:
        held = token_for(gateway, backend)
        assert jwt.get_unverified_header(held)["kid"] == "old"
        assert verified(gateway, held)["sub"] == "ada"
    after = f"new=EdDSA:file:{second},old=ES256:file:{first}"
    with start(backend, worker_class, after) as gateway:
        fresh = token_for(gateway, backend)
        assert jwt.get_unverified_header(fresh)["kid"] == "new"
        assert verified(gateway, fresh)["sub"] == "ada"
        assert verified(gateway, held)["sub"] == "ada"  # it was signed just before
    with start(backend, worker_class, f"new=EdDSA:file:{second}") as gateway:
        assert verified(gateway, token_for(gateway, backend))["sub"] == "ada"
        with pytest.raises(jwt.PyJWKClientError):
            verified(gateway, held)


def test_a_reload_reads_key_files_anew(
    backend: ScriptedUpstream, worker_class: str, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    path.write_text(key_pair("ES256")[0])
    with start(backend, worker_class, f"ES256:file:{path}") as gateway:
        old = jwt.get_unverified_header(token_for(gateway, backend))["kid"]
        path.write_text(key_pair("ES256", 1)[0])
        gateway.signal(signal.SIGHUP)

        def signs_anew() -> bool:
            return bool(jwt.get_unverified_header(token_for(gateway, backend))["kid"] != old)

        assert wait_for(signs_anew)

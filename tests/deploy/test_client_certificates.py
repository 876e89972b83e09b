"""nginx asks clients for certificates, and the gateway knows them by these."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cryptography import x509

from gateway.testing import ScriptedUpstream
from tests.authentication.certificates.support import ALICE, AUTHORITY, Issued, issue, name
from tests.deploy.nginx import NAME, NGINX, Nginx, start_nginx
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import request, request_head

BILLING = issue(ALICE, AUTHORITY, names=[x509.DNSName("billing.internal")])
#: What anybody can make: the same name, signed by nobody that nginx knows.
FORGED = issue(ALICE, issue(name(COMMON_NAME="Mallory"), ca=True), names=[x509.DNSName("root")])
HEADERS = (b"X-Client-Cert", b"Client-Cert", b"X-SSL-Client-Cert", b"X-Forwarded-Client-Cert")


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def gateway(request: pytest.FixtureRequest, scripted: ScriptedUpstream) -> Iterator[Gateway]:
    """A gateway that knows clients by their certificates."""
    env = {
        "JWT_SECRET": "",
        "PLAIN_URL": scripted.url,
        "GUARDED_URL": scripted.url,
        "TRUSTED_PROXIES": "unix",
        "CLIENT_CERTIFICATES": "X-Client-Cert",
    }
    app = "tests.deploy.certificates_app:app"
    with start_gateway(app, worker_class=request.param, env=env, unix=True) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx with the two lines of its file in use."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    authorities, _ = AUTHORITY.save(folder, "authorities")

    def edit(text: str) -> str:
        for line in ("ssl_client_certificate /etc/gatehouse/client", "ssl_verify_client optional;"):
            assert text.count(f"#{line}") == 1
            text = text.replace(f"#{line}", line)
        return text.replace("/etc/gatehouse/client-authorities.pem", str(authorities))

    with start_nginx(folder, str(gateway.address), edit) as running:
        yield running


def ask(nginx: Nginx, target: bytes, *fields: bytes, by: Issued | None = None) -> Reply:
    """The answer to a GET over TLS, by a client with this certificate."""
    certificate = by.save(nginx.folder, "client") if by else None
    with nginx.connect(certificate=certificate) as connection:
        host = b"Host: " + NAME.encode()
        connection.send(request_head(target, host, b"Connection: close", *fields))
        return connection.read_reply()


def forged_fields() -> list[bytes]:
    """A client's own fields, of every name and form in which a certificate may be told."""
    return [
        name + b": " + value.encode()
        for name in HEADERS
        for value in (FORGED.escaped, FORGED.field)
    ]


def test_a_client_with_a_certificate_is_that_identity(
    nginx: Nginx, gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    for fields in ([], forged_fields()):
        reply = ask(nginx, b"/guarded/x", *fields, by=BILLING)
        assert reply.status == 200
        line = gateway.line_of(reply.header(b"X-Request-ID")[0].decode())
        assert line["user"] == "billing.internal"
    for received in upstream.requests:
        assert received.header(b"X-User-ID") == [b"billing.internal"]
        assert b"cert" not in received.head.lower()


def test_a_client_without_one_is_nobody(
    nginx: Nginx, gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    reply = ask(nginx, b"/guarded/x")
    assert reply.status == 401
    assert reply.header(b"WWW-Authenticate") == [b'Certificate realm="gateway"']
    assert json.loads(reply.body)["code"] == "missing_credential"
    reply = ask(nginx, b"/guarded/x", *forged_fields())
    assert reply.status == 401
    assert upstream.requests == []
    assert ask(nginx, b"/plain/x", *forged_fields()).status == 200
    (received,) = upstream.requests
    assert received.header(b"X-User-ID") == []
    assert b"cert" not in received.head.lower()


def test_nginx_refuses_a_certificate_of_somebody_else(
    nginx: Nginx, upstream: ScriptedUpstream
) -> None:
    reply = ask(nginx, b"/guarded/x", by=FORGED)
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "proxy")
    assert upstream.requests == []


def test_who_reaches_the_gateway_past_nginx_is_believed_nothing() -> None:
    """A gateway on a port that trusts another address: the peer's word counts, not the field."""
    env = {
        "JWT_SECRET": "",
        "PLAIN_URL": "",
        "GUARDED_URL": "",
        "TRUSTED_PROXIES": "192.0.2.1",
        "CLIENT_CERTIFICATES": "X-Client-Cert",
    }
    app = "tests.deploy.certificates_app:app"
    with start_gateway(app, env=env) as running:
        field = b"X-Client-Cert: " + BILLING.escaped.encode()
        reply = exchange(running.port, request(b"/guarded/x", field))
        assert reply.status == 401
        (event,) = running.events(reply.header(b"X-Request-ID")[0].decode())
        assert (event["event"], event["fields"]) == ("identity_forged", ["x-client-cert"])

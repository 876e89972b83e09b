"""Client certificates in a gateway: settings, services, and what a backend is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from flask import Flask
from pydantic import ValidationError

from gateway import ConfigurationError, Service, public, require, role
from gateway.testing_stub import StubTransport
from tests.authentication.certificates.support import ALICE, AUTHORITY, issue, name
from tests.support.wsgi import SECRET, Answer, bearer, call, make_app, stubbed

BILLING = issue(
    ALICE, AUTHORITY, names=[x509.UniformResourceIdentifier("spiffe://example.org/billing")]
)
FIELD = ("X-Client-Cert", BILLING.escaped)
PROXY = "192.0.2.1"
USUAL: dict[str, Any] = {"CLIENT_CERTIFICATES": "X-Client-Cert", "TRUSTED_PROXIES": PROXY}


def build(*services: Service, **settings: Any) -> Flask:
    """A gateway behind a proxy that asks clients for certificates."""
    return make_app(*services, **{"JWT_SECRET": "", **USUAL, **settings})


def pair(**options: Any) -> tuple[Service, StubTransport]:
    """A guarded service and its backend."""
    service, backend = stubbed(**options)
    return require()(service), backend


def ask(app: Flask, *fields: tuple[str, str], peer: str = PROXY) -> Answer:
    """The answer to a request that came over this peer."""
    return call(app, "/things/x", "GET", fields, REMOTE_ADDR=peer)


def test_a_certificate_is_an_identity() -> None:
    service, backend = pair()
    app = build(service)
    assert ask(app, FIELD).status == 200
    told = backend.requests[-1].headers
    assert told["X-User-ID"] == "spiffe://example.org/billing"
    assert "X-Client-Cert" not in told


def test_without_one_the_challenge_says_what_is_missing() -> None:
    answer = ask(build(pair()[0]))
    assert (answer.status, answer.code) == (401, "missing_credential")
    assert answer.header("WWW-Authenticate") == ['Certificate realm="gateway"']
    assert answer.json["detail"] == "This needs a client certificate."


def test_nobody_but_the_proxy_is_believed() -> None:
    guarded, _ = pair()
    opened, backend = stubbed("open", "/open")
    app = build(guarded, public(opened))
    assert ask(app, FIELD, peer="198.51.100.7").status == 401
    answer = call(app, "/open/x", "GET", [FIELD], REMOTE_ADDR="198.51.100.7")
    assert answer.status == 200
    told = backend.requests[-1].headers
    assert not {"X-Client-Cert", "X-User-ID"} & set(told)


def test_a_wrong_one_is_told_apart() -> None:
    over = issue(ALICE, AUTHORITY, ends=-600)
    app = build(pair()[0])
    answers = [ask(app, ("X-Client-Cert", text)) for text in ("nonsense", over.escaped)]
    assert [(a.status, a.code) for a in answers] == [
        (401, "certificate_invalid"),
        (401, "certificate_expired"),
    ]
    assert answers[1].header("WWW-Authenticate") == ['Certificate realm="gateway"']


def test_a_token_counts_before_the_certificate() -> None:
    service, backend = pair()
    app = build(service, JWT_SECRET=SECRET)
    assert ask(app, FIELD, bearer()).status == 200
    assert backend.requests[-1].headers["X-User-ID"] == "ada"
    assert ask(app, FIELD, ("Authorization", "Bearer wrong")).status == 401
    assert ask(app, FIELD).status == 200
    challenges = ask(app).header("WWW-Authenticate")
    assert challenges == ['Bearer realm="gateway"', 'Certificate realm="gateway"']


def test_a_service_says_whether_it_takes_them() -> None:
    by_token, _ = pair(authentication=["jwt"])
    by_certificate, _ = stubbed("c", "/c", authentication=["certificate"])
    app = build(by_token, require()(by_certificate), JWT_SECRET=SECRET)
    assert ask(app, FIELD).status == 401
    assert call(app, "/c/x", "GET", [FIELD], REMOTE_ADDR=PROXY).status == 200
    assert call(app, "/c/x", "GET", [bearer()], REMOTE_ADDR=PROXY).status == 401


def test_roles_and_limits() -> None:
    service, _ = stubbed()
    app = build(
        require(role("billing"))(service),
        CLIENT_CERTIFICATE_ROLES="spiffe://example.org/billing=billing service; CN=bob,O=X = other",
        RATE_LIMIT_DEFAULT="2/hour",
    )
    assert ask(app, FIELD).status == 200
    bob = issue(name(ORGANIZATION_NAME="X", COMMON_NAME="bob"), AUTHORITY)
    answers = [ask(app, ("X-Client-Cert", bob.escaped)) for _ in range(3)]
    assert [a.status for a in answers] == [403, 403, 429]
    assert ask(app, FIELD).status == 200


def test_the_authorities_that_may_have_issued_it(tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    file.write_bytes(issue(name(COMMON_NAME="Other"), ca=True).pem + AUTHORITY.pem)
    app = build(pair()[0], CLIENT_CERTIFICATE_CA_FILE=str(file))
    assert ask(app, FIELD).status == 200
    assert ask(app, ("X-Client-Cert", issue(ALICE).escaped)).code == "certificate_invalid"


def test_rfc_9440_fields_and_their_chain() -> None:
    service, backend = pair()
    app = build(service, CLIENT_CERTIFICATES="Client-Cert")
    fields = [("Client-Cert", BILLING.field), ("Client-Cert-Chain", AUTHORITY.field)]
    assert ask(app, *fields).status == 200
    assert "Client-Cert" not in backend.requests[-1].headers


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"TRUSTED_PROXIES": ""}, "CLIENT_CERTIFICATES needs TRUSTED_PROXIES"),
        ({"CLIENT_CERTIFICATE_CA_FILE": "/nowhere.pem"}, "CA_FILE: No such file"),
        ({"CLIENT_CERTIFICATE_CA_FILE": "settings.py"}, "CA_FILE holds no PEM certificates"),
        ({"CLIENT_CERTIFICATE_ROLES": "billing"}, "ROLES: 'billing' must be subject=role"),
        ({"CLIENT_CERTIFICATE_ROLES": "a=x;a=y"}, "ROLES: 'a=y' must be subject=role"),
        ({"CLIENT_CERTIFICATE_ROLES": "=x"}, "ROLES: '=x' must be"),
        ({"CLIENT_CERTIFICATE_ROLES": "a= "}, "ROLES: 'a=' must be"),
    ],
)
def test_faults(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        build(pair()[0], **settings)


def test_a_name_that_is_none() -> None:
    for value in ("X_Client_Cert", "X Client", "a,b:c"):
        with pytest.raises(ValidationError, match="is not the name of a header"):
            build(pair()[0], CLIENT_CERTIFICATES=value)


def test_off_unless_asked_for() -> None:
    app = build(pair()[0], CLIENT_CERTIFICATES="", JWT_SECRET=SECRET)
    assert ask(app, FIELD).status == 401
    with pytest.raises(ConfigurationError, match="'certificate' is not set up"):
        build(pair(authentication=["certificate"])[0], CLIENT_CERTIFICATES="", JWT_SECRET=SECRET)

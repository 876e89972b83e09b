"""One certificate: read, dated, signed, and whom it names."""

from __future__ import annotations

import base64
import random
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.authentication.certificate import WrongCertificate, issued_by, read
from gateway.authentication.client_certificates import ClientCertificates
from gateway.authentication.identity import Identity
from gateway.edge.origin import Edge
from gateway.errors import Unauthenticated
from tests.authentication.certificates.support import ALICE, AUTHORITY, NOW, Issued, issue, name

URI = x509.UniformResourceIdentifier("spiffe://example.org/billing")
HOST = x509.DNSName("billing.internal")
MAIL = x509.RFC822Name("alice@example.org")
PLAIN = issue(ALICE, AUTHORITY)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def environ_of(value: str, key: str = "HTTP_X_CLIENT_CERT", trusted: bool = True) -> dict[str, Any]:
    """A request whose peer is trusted, or not."""
    edge = Edge("192.0.2.1", trusted, "192.0.2.1", "https", "gateway.example")
    return {key: value, "gateway.edge": edge}


def identity(issued: Issued, **options: Any) -> Identity:
    """Who a certificate proves."""
    scheme = ClientCertificates(["X-Client-Cert"], **options)
    return scheme.verify(issued.escaped, environ_of(issued.escaped))


def slug(text: str, **options: Any) -> str:
    """Why a certificate is refused."""
    with pytest.raises(Unauthenticated) as caught:
        ClientCertificates(["X-Client-Cert"], **options).verify(text, environ_of(text))
    assert dict(caught.value.extra_headers) == {"WWW-Authenticate": 'Certificate realm="gateway"'}
    return caught.value.slug


@pytest.mark.parametrize("form", ["escaped", "field"])
def test_both_forms_are_read(form: str) -> None:
    assert read(getattr(PLAIN, form)) == PLAIN.certificate
    assert read(f" {getattr(PLAIN, form)} ") == PLAIN.certificate


def test_nginx_escapes_less_than_we_do() -> None:
    assert read(quote(PLAIN.pem.decode(), safe="+/ -")) == PLAIN.certificate


WRONG = [
    "",
    ":",
    "::",
    ":!!!!:",
    ":" + "A" * 400 + ":",
    PLAIN.field[:-1],
    f"{PLAIN.field}, {PLAIN.field}",
    f"{PLAIN.escaped},{PLAIN.escaped}"[:-40],
    PLAIN.escaped + PLAIN.escaped,
    PLAIN.escaped[: len(PLAIN.escaped) // 2],
    "%2D%2D%2D",
    "%ff%fe",
    "\xe9",
    PLAIN.field[1:-1],
    quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    quote("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_no_certificate(text: str) -> None:
    with pytest.raises(WrongCertificate):
        read(text)
    assert slug(text) == "certificate_invalid"


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_certificate_raises_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    whole = base64.b64decode(PLAIN.field[1:-1])
    scheme = ClientCertificates(["X-Client-Cert"], authorities=[AUTHORITY.certificate])
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if bytes(damaged) == whole:
            continue
        text = f":{base64.b64encode(damaged).decode()}:"
        with pytest.raises(Unauthenticated):
            scheme.verify(text, environ_of(text))


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        ([MAIL, HOST, URI], "spiffe://example.org/billing"),
        ([MAIL, HOST, x509.DNSName("other.internal")], "billing.internal"),
        ([MAIL], "alice@example.org"),
        ([x509.IPAddress(ip_address("192.0.2.1"))], "O=Example,CN=alice"),
        ([], "O=Example,CN=alice"),
        (None, "O=Example,CN=alice"),
    ],
)
def test_whom_it_names(names: list[x509.GeneralName] | None, subject: str) -> None:
    found = identity(issue(ALICE, AUTHORITY, names=names))
    assert (found.subject, found.kind, found.scheme) == (subject, "certificate", "certificate")
    assert (found.roles, found.permissions) == ((), ())


def test_what_is_told_of_it() -> None:
    issued = issue(ALICE, AUTHORITY, names=[HOST, URI])
    assert identity(issued).claims == {
        "subject": "O=Example,CN=alice",
        "issuer": "O=Example,CN=Authority",
        "names": ["spiffe://example.org/billing", "billing.internal"],
        "serial": "c0ffee",
        "fingerprint": issued.certificate.fingerprint(hashes.SHA256()).hex(),
        "not_after": issued.certificate.not_valid_after_utc.timestamp(),
    }


def test_one_that_names_nobody() -> None:
    nobody = issue(x509.Name([]), AUTHORITY, names=[])
    assert slug(nobody.escaped) == "certificate_invalid"


def test_names_of_different_kinds_differ() -> None:
    subjects = {
        identity(issue(name(COMMON_NAME="alice"), AUTHORITY)).subject,
        identity(issue(ALICE, AUTHORITY, names=[x509.DNSName("alice")])).subject,
        identity(issue(ALICE, AUTHORITY, names=[x509.RFC822Name("alice@x")])).subject,
    }
    assert subjects == {"CN=alice", "alice", "alice@x"}


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        (-10, 10, ""),
        (29, 60, ""),
        (31, 60, "certificate_invalid"),
        (-60, -29, ""),
        (-60, -31, "certificate_expired"),
    ],
)
def test_its_dates_with_leeway(starts: float, ends: float, expected: str) -> None:
    issued = issue(ALICE, AUTHORITY, starts=starts, ends=ends)
    if expected:
        assert slug(issued.escaped, leeway=30, clock=Clock()) == expected
    else:
        assert identity(issued, leeway=30, clock=Clock()).subject == "O=Example,CN=alice"


@pytest.mark.parametrize(
    "odd",
    [
        x509.UniformResourceIdentifier("billing.internal"),
        x509.UniformResourceIdentifier("alice@example.org"),
        x509.UniformResourceIdentifier("CN=alice,O=a:b"),
        x509.DNSName("spiffe://example.org/billing"),
        x509.DNSName("CN=root"),
        x509.DNSName("alice@example.org"),
        x509.RFC822Name("billing.internal"),
        x509.RFC822Name("spiffe://root@example.org"),
        x509.RFC822Name("CN=root@example.org"),
    ],
    ids=lambda odd: f"{type(odd).__name__}-{odd.value}",
)
def test_a_name_that_looks_like_one_of_another_kind_is_none(odd: x509.GeneralName) -> None:
    assert identity(issue(ALICE, AUTHORITY, names=[odd])).subject == "O=Example,CN=alice"


def test_roles_by_subject() -> None:
    roles = {"billing.internal": ("service", "reporting")}
    assert identity(issue(ALICE, AUTHORITY, names=[HOST]), roles=roles).roles == roles[HOST.value]
    assert identity(PLAIN, roles=roles).roles == ()


OTHER = issue(name(COMMON_NAME="Authority", ORGANIZATION_NAME="Example"), ca=True)
OVER = issue(name(COMMON_NAME="Old"), ca=True, ends=-1)
BETWEEN = issue(name(COMMON_NAME="Between"), AUTHORITY, ca=True)
MODERN = issue(name(COMMON_NAME="Modern"), ca=True, key=ed25519.Ed25519PrivateKey.generate())
SERVER = [ExtendedKeyUsageOID.SERVER_AUTH]
CLIENT = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
ANY = [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("issued", "authorities", "accepted"),
    [
        (PLAIN, [AUTHORITY], True),
        (PLAIN, [OTHER, AUTHORITY], True),
        (PLAIN, [OTHER], False),  # the same name, another key
        (PLAIN, [MODERN], False),
        (issue(ALICE, MODERN), [AUTHORITY, MODERN], True),
        (issue(ALICE, AUTHORITY, key=RSA), [AUTHORITY], True),
        (issue(ALICE), [AUTHORITY], False),
        (issue(ALICE, OVER), [OVER], False),
        (issue(ALICE, BETWEEN), [AUTHORITY], False),  # list those that issue
        (issue(ALICE, BETWEEN), [AUTHORITY, BETWEEN], True),
        (issue(ALICE, AUTHORITY, purposes=SERVER), [AUTHORITY], False),
        (issue(ALICE, AUTHORITY, purposes=CLIENT), [AUTHORITY], True),
        (issue(ALICE, AUTHORITY, purposes=ANY), [AUTHORITY], True),
    ],
)
def test_who_may_have_issued_it(issued: Issued, authorities: list[Issued], accepted: bool) -> None:
    certificates = [one.certificate for one in authorities]
    assert issued_by(issued.certificate, certificates, time.time()) == accepted
    if accepted:
        assert identity(issued, authorities=certificates).subject == "O=Example,CN=alice"
    else:
        assert slug(issued.escaped, authorities=certificates) == "certificate_invalid"


def test_only_a_trusted_proxy_is_believed() -> None:
    scheme = ClientCertificates(["X-Client-Cert", "Client-Cert"])
    assert scheme.hides == {"x-client-cert", "client-cert"}
    assert scheme.find(environ_of("x", trusted=False)) is None
    assert scheme.find(environ_of("x")) == "x"
    assert scheme.find(environ_of("")) is None
    assert scheme.find(environ_of("x", "HTTP_CLIENT_CERT")) == "x"
    assert scheme.find(environ_of("x", "HTTP_OTHER_CERT")) is None
    both = {**environ_of("x"), "HTTP_CLIENT_CERT": "y"}
    assert scheme.find(both) == "x"


def test_it_is_remembered_but_never_past_its_end() -> None:
    clock = Clock()
    scheme = ClientCertificates(["X-Client-Cert"], leeway=0, clock=clock)
    short, long = issue(ALICE, AUTHORITY, ends=60), PLAIN
    environ: dict[str, Any] = {}
    first = scheme.verify(short.escaped, environ)
    kept = scheme.verify(long.escaped, environ)
    assert scheme.verify(short.escaped, environ) is first
    clock.now += 61
    with pytest.raises(Unauthenticated):
        scheme.verify(short.escaped, environ)
    assert scheme.verify(long.escaped, environ) is kept
    clock.now += 300
    again = scheme.verify(long.escaped, environ)
    assert again == kept
    assert again is not kept


def test_what_is_inside_the_leeway_is_read_each_time() -> None:
    clock = Clock()
    scheme = ClientCertificates(["X-Client-Cert"], leeway=60, clock=clock)
    over = issue(ALICE, AUTHORITY, ends=-10)
    assert scheme.verify(over.escaped, {}) is not scheme.verify(over.escaped, {})

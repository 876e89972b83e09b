"""Who no limit applies to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway import ConfigurationError, Identity, limiter
from gateway.rate_limiting.exemptions import Exemptions, faults
from tests.support.wsgi import bearer, call, make_app, open_service

ENTRIES = ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "user:ada", "client:nightly job")


def covered(address: str = "198.51.100.1", identity: Identity | None = None) -> bool:
    """Whether a request of this client is exempt."""
    environ = {"gateway.edge": SimpleNamespace(address=address), "gateway.identity": identity}
    return Exemptions(ENTRIES).cover(environ)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:192.0.2.7"]
)
def test_addresses(address: str) -> None:
    assert covered(address)


@pytest.mark.parametrize("address", ["11.0.0.1", "192.0.2.8", "2001:db9::1", "", "unix", "ada"])
def test_other_addresses(address: str) -> None:
    assert not covered(address)


def test_identities() -> None:
    assert covered(identity=Identity("ada"))
    assert covered(identity=Identity("nightly job", kind="client"))
    assert not covered(identity=Identity("ada", kind="client"))
    assert not covered(identity=Identity("Ada"))
    assert not covered()


def test_without_entries_nobody_is() -> None:
    environ = {"gateway.edge": SimpleNamespace(address="10.0.0.1")}
    assert not Exemptions().cover(environ)


def test_what_is_no_entry() -> None:
    wrong = ["10.0.0.300", "10.0.0.0/33", "ada", "ip:10.0.0.1", ":ada", "user:", "User:ada", "*"]
    wrong += ["fc::zz", "usr:ada", "10.0.0.5/8", "2001:db8::1/32"]
    found = faults([*ENTRIES, *wrong])
    assert len(found) == len(wrong)
    assert all(repr(entry) in fault for entry, fault in zip(wrong, found, strict=True))


def test_a_wrong_entry_is_a_fault_at_start() -> None:
    with pytest.raises(ConfigurationError, match=r"RATE_LIMIT_EXEMPT: '10\.0\.0\.300' is neither"):
        make_app(RATE_LIMIT_EXEMPT="10.0.0.1, 10.0.0.300")


def test_no_limit_applies() -> None:
    service, _ = open_service()
    limiter.limit("1/minute")(service)
    app = make_app(
        service,
        RATE_LIMIT_EXEMPT="192.0.2.1, user:ada",
        RATE_LIMIT_DEFAULT="1/hour",
        RATE_LIMIT_ADDRESS="2/hour",
        PLANS={"free": {"rate": "1/minute", "quota": "1/day"}},
        DEFAULT_PLAN="free",
    )
    for _ in range(4):
        answer = call(app, "/things/7")
        assert answer.status == 200
        assert not answer.header("RateLimit")
    other: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.2"}
    ada, bob = [bearer(sub="ada")], [bearer(sub="bob")]
    assert [call(app, "/things/7", headers=ada, **other).status for _ in range(2)] == [200, 200]
    # Nobody is anybody yet where addresses are counted.
    assert call(app, "/things/7", headers=ada, **other).status == 429
    third: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.3"}
    assert [call(app, "/things/7", headers=bob, **third).status for _ in range(2)] == [200, 429]


def test_the_address_is_the_clients_as_trusted_proxies_tell_it() -> None:
    service, _ = open_service()
    limiter.limit("1/minute")(service)
    app = make_app(service, RATE_LIMIT_EXEMPT="192.0.2.0/24", TRUSTED_PROXIES="192.0.2.1")
    for address, statuses in (("198.51.100.1", [200, 429]), ("192.0.2.9", [200, 200])):
        told = [("X-Forwarded-For", address)]
        assert [call(app, "/things/7", headers=told).status for _ in range(2)] == statuses
    lied = [("X-Forwarded-For", "192.0.2.9")]
    found = [
        call(app, "/things/7", headers=lied, REMOTE_ADDR="198.51.100.2").status for _ in range(2)
    ]
    assert found == [200, 429]

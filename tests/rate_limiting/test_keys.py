"""Whose limit it is."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Identity
from gateway.edge.origin import Edge
from gateway.rate_limiting.keys import client_key, key_of
from tests.rate_limiting.apps import passed, service
from tests.rate_limiting.conftest import MakeClient


def environ(address: str, identity: Identity | None = None) -> dict[str, Any]:
    """A request from this address."""
    return {
        "gateway.edge": Edge(address, False, address, "http", "host"),
        "gateway.identity": identity,
    }


def test_user_before_address() -> None:
    assert key_of(environ("192.0.2.1", Identity("ann"))) == "user:ann"
    assert key_of(environ("192.0.2.1", Identity("ann", kind="key"))) == "key:ann"
    assert key_of(environ("192.0.2.1")) == "ip:192.0.2.1"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "ip:2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "ip:2001:db8:1:3::/64"),
        ("fe80::1%eth0", "ip:fe80::/64"),
        ("::ffff:192.0.2.1", "ip:192.0.2.1"),
        ("", "ip:unix"),
        ("whatever", "ip:whatever"),
    ],
)
def test_addresses(address: str, key: str) -> None:
    assert key_of(environ(address)) == key


def test_key_of_the_current_request(make_client: MakeClient) -> None:
    client = make_client()
    with client.application.test_request_context(environ_overrides=environ("192.0.2.1")):
        assert client_key() == "ip:192.0.2.1"


def test_forwarded_address_counts_only_from_trusted_peers(make_client: MakeClient) -> None:
    options: dict[str, Any] = {"RATE_LIMIT_DEFAULT": "2/hour"}
    strict = make_client(service(), **options)
    trusting = make_client(service(), TRUSTED_PROXIES="127.0.0.1", **options)
    for client, allowed in ((strict, 2), (trusting, 6)):
        served = sum(
            passed(client, "/orders/x", 3, headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(3)
        )
        assert served == allowed

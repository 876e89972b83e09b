"""What an address of a service can say, and what is told of a wrong one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from gateway.upstreams import Target
from gateway.upstreams.discovery import Discovery
from gateway.upstreams.discovery.addresses import parse_address
from gateway.upstreams.discovery.dns import Addresses, Services
from gateway.upstreams.discovery.file import WatchedFile
from gateway.urls import Origin
from tests.support.wsgi import make_settings

ORIGIN = Origin.parse


def test_a_list_is_a_list() -> None:
    assert parse_address("") == ()
    assert parse_address(" http://a:8080;weight=3 , https://b/v1") == (
        Target(ORIGIN("http://a:8080"), 3),
        Target(ORIGIN("https://b/v1")),
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dns://orders.test", Addresses("orders.test", ORIGIN("http://orders.test"))),
        (
            " dns://orders.test.:8443/v1 ; scheme=https ",
            Addresses("orders.test.", ORIGIN("https://orders.test:8443/v1")),
        ),
        ("dns://orders", Addresses("orders", ORIGIN("http://orders"))),
        ("srv://_http._tcp.orders.test", Services("_http._tcp.orders.test")),
        ("srv://x.test/v1/;scheme=https", Services("x.test", "https", "/v1")),
        ("file:///etc/or%20ders.txt", WatchedFile(Path("/etc/or ders.txt"))),
    ],
)
def test_who_knows_the_instances(text: str, wanted: Discovery) -> None:
    assert parse_address(text) == wanted


def test_name_servers_come_from_the_settings() -> None:
    settings = make_settings(DNS_SERVERS="10.0.0.2, [::1]:5353")
    found = parse_address("srv://x.test", settings)
    assert found == Services("x.test", servers=("10.0.0.2", "[::1]:5353"))


@pytest.mark.parametrize("servers", ["ns.test", "10.0.0.2:x", "10.0.0.256", "[::1", "::g", ":53"])
def test_name_servers_are_addresses(servers: str) -> None:
    with pytest.raises(ValueError, match="DNS_SERVERS"):
        make_settings(DNS_SERVERS=servers)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("orders.test:80", "'orders.test' must be http"),
        ("ftp://orders.test", "'ftp://orders.test' must be http.* dns://, srv://, file://"),
        ("http://a,dns://b", "'dns://b' must be http"),
        ("dns://a.test,dns://b.test", "must be dns://name"),
        ("dns://a.test?x=1", "must be dns://name"),
        ("dns://", "must be dns://name"),
        ("dns://a.test:0", "'dns://a.test:0' has no port 0"),
        ("dns://a.test:99999", "has no port 99999"),
        ("dns://a.test;weight=2", "may be followed by ;scheme=https alone"),
        ("dns://a.test;scheme=ftp", "may be followed by ;scheme=https alone"),
        ("dns://10.0.0.1:80", "has an address"),
        ("dns://a..test", "is no name"),
        (f"dns://{'a' * 64}.test", "is no name"),
        ("srv://a.test:80", "must be srv://name"),
        ("file://orders.txt", "must be file:///path"),
        ("file:///", "must be file:///path"),
        ("file:///etc/", "must be file:///path"),
    ],
)
def test_the_fault_is_named(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_address(text)


@pytest.mark.parametrize("scheme", ["dns", "srv", "gopher", "http"])
def test_a_password_is_never_told(scheme: str) -> None:
    with pytest.raises(ValueError, match=r"orders\.test") as caught:
        parse_address(f"{scheme}://me:secret@orders.test")
    assert "secret" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gateway.upstreams.discovery.dns")
    for name in [name for name in sys.modules if name.split(".")[0] == "dns"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dns", None)
    with pytest.raises(ValueError, match=r"dns:// needs dnspython: pip install \.\[dns\]"):
        parse_address("dns://orders.test")


def test_other_missing_modules_are_no_fault_of_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken: dict[str, ModuleType | None] = {"gateway.upstreams.discovery.file": None}
    for name, module in broken.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(ModuleNotFoundError):
        parse_address("file:///etc/orders.txt")

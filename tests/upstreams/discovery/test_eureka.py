"""Instances out of Eureka: the address, the servers, and what becomes of what was registered."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from gateway.upstreams.discovery import DiscoveryError, Found
from gateway.upstreams.discovery.addresses import parse_address
from gateway.upstreams.discovery.eureka import Eureka, parse
from tests.support.wsgi import make_settings
from tests.upstreams.discovery.eureka_server import EurekaServer

NEVER = threading.Event()


def look(eureka: EurekaServer, options: str = "", app: str = "ORDERS") -> Found:
    """What a look finds that knows nothing from before."""
    return parse(f"eureka://{eureka.authority}/eureka/{app}{options}").begin()(NEVER)


def urls(found: Found) -> list[str]:
    return [target.origin.url + target.origin.base_path for target in found.targets]


@pytest.mark.parametrize(
    ("address", "server", "app"),
    [
        ("eureka://h:8761/eureka/ORDERS", "http://h:8761/eureka", "ORDERS"),
        ("eureka://h:8761/eureka/v2/orders", "http://h:8761/eureka/v2", "orders"),
        ("eureka://h:8761/ORDERS", "http://h:8761", "ORDERS"),
        ("eureka://[::1]:8761/eureka/ORDERS", "http://[::1]:8761/eureka", "ORDERS"),
        ("eureka://h/eureka/ORDERS?tls=true", "https://h/eureka", "ORDERS"),
        ("eureka://h/eureka/A%2FB", "http://h/eureka", "A/B"),
    ],
)
def test_an_address_with_its_server(address: str, server: str, app: str) -> None:
    eureka = parse(address, servers="http://other/eureka")
    (found,) = eureka.servers
    assert found.origin.url + found.origin.base_path == server
    assert eureka.app == app


def test_an_address_without_takes_those_of_the_settings() -> None:
    settings = make_settings(
        EUREKA_URL="http://ada:hunter2@one:8761/eureka, https://two/eureka,",
        EUREKA_INTERVAL=5,
        UPSTREAM_CA_FILE="/ca.pem",
    )
    eureka = parse_address("eureka:///ORDERS?scheme=https&path=/v1&connect=ip", settings)
    assert isinstance(eureka, Eureka)
    assert [server.name for server in eureka.servers] == ["one:8761", "two"]
    assert (eureka.interval, eureka.ca_file) == (5, "/ca.pem")
    assert (eureka.scheme, eureka.path, eureka.by_address) == ("https", "/v1", True)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in repr(eureka.servers) + repr(eureka)


@pytest.mark.parametrize(
    ("address", "servers", "fault"),
    [
        ("eureka:///ORDERS", "", "names no server, and EUREKA_URL is empty"),
        ("eureka:///ORDERS", " , ", "names no server, and EUREKA_URL is empty"),
        ("eureka:///eureka/ORDERS", "http://h", "has a path but no server"),
        ("eureka:///ORDERS", "h:8761", "'h:8761' must be http"),
        ("eureka:///ORDERS", "http://u:hunter2@h/?q", "'h/?q' must be http"),
        ("eureka://h:8761", "", "must be eureka://"),
        ("eureka://h:8761/", "", "must be eureka://"),
        ("eureka://h:8761/eureka/ORDERS/", "", "must be eureka://"),
        ("eureka://u:hunter2@h/eureka/ORDERS", "", "without user"),
        ("eureka://h:0/eureka/ORDERS", "", "has no port 0"),
        ("eureka://h/eureka/ORDERS?zone=a", "", "has an option 'zone'"),
        ("eureka://h/eureka/ORDERS?connect=dns", "", "connect= that is not name or ip"),
    ],
)
def test_faulty_addresses(address: str, servers: str, fault: str) -> None:
    with pytest.raises(ValueError, match="eureka://") as caught:
        parse(address, servers=servers)
    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_instances_that_are_up(eureka: EurekaServer) -> None:
    eureka.register("ORDERS", 8001)
    eureka.register("ORDERS", 8002, metadata={"weight": "3"})
    for port, status in enumerate(("DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN", "ODD"), 8003):
        eureka.register("ORDERS", port, status=status)
    eureka.register("USERS", 8009)
    found = look(eureka, app="orders")
    assert urls(found) == ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]
    assert [target.weight for target in found.targets] == [1, 3]
    assert 29 < found.next_look <= 30
    assert urls(look(eureka, app="NOBODY")) == []


def test_a_server_that_writes_lists_of_one_as_that_one(eureka: EurekaServer) -> None:
    eureka.old = True
    eureka.register("ORDERS", 8001)
    assert urls(look(eureka)) == ["http://127.0.0.1:8001"]


def test_a_registry_without_any(eureka: EurekaServer) -> None:
    assert look(eureka).targets == ()


ON, OFF = "true", "false"


@pytest.mark.parametrize(
    ("plain", "secure", "option", "url"),
    [
        (ON, OFF, "", "http://127.0.0.1:8001"),
        (ON, ON, "", "http://127.0.0.1:8001"),
        (OFF, ON, "", "https://127.0.0.1:8443"),
        (ON, ON, "?scheme=https", "https://127.0.0.1:8443"),
        (ON, ON, "?scheme=http&path=/v1", "http://127.0.0.1:8001/v1"),
        (True, False, "", "http://127.0.0.1:8001"),
        (False, True, "", "https://127.0.0.1:8443"),
    ],
)
def test_ports(eureka: EurekaServer, plain: Any, secure: Any, option: str, url: str) -> None:
    eureka.register(
        "ORDERS",
        8001,
        port={"$": "8001", "@enabled": plain},
        securePort={"$": 8443, "@enabled": secure},
    )
    assert urls(look(eureka, option)) == [url]


@pytest.mark.parametrize(
    ("plain", "secure", "option"), [(OFF, OFF, ""), (ON, OFF, "?scheme=https")]
)
def test_a_port_that_is_not_enabled_is_not_used(
    eureka: EurekaServer, caplog: pytest.LogCaptureFixture, plain: str, secure: str, option: str
) -> None:
    eureka.register(
        "ORDERS",
        8001,
        port={"$": 8001, "@enabled": plain},
        securePort={"$": 8443, "@enabled": secure},
    )
    with caplog.at_level(logging.WARNING, "gateway"):
        assert look(eureka, option).targets == ()
    assert "has no such port enabled" in caplog.text


def test_connecting_to_the_address_that_was_registered(eureka: EurekaServer) -> None:
    eureka.register("ORDERS", 8001, hostName="orders.invalid", ipAddr="10.0.0.1")
    (target,) = look(eureka).targets
    assert (target.origin.host, target.address) == ("orders.invalid", "")
    (target,) = look(eureka, "?connect=ip").targets
    assert (target.origin.host, target.address) == ("orders.invalid", "10.0.0.1")


@pytest.mark.parametrize(
    "fields",
    [
        {"hostName": None},
        {"hostName": "a\r\nX: y"},
        {"hostName": "a/b"},
        {"hostName": {"$": "a"}},
        {"port": None, "securePort": None},
        {"port": {"@enabled": "true"}},
        {"port": {"$": 70000, "@enabled": "true"}},
        {"port": {"$": "x", "@enabled": "true"}},
        {"port": [8001]},
        {"ipAddr": "not one"},
        {"ipAddr": "127.0.0.1\n"},
    ],
)
def test_a_broken_instance_is_left_out_with_a_line_in_the_log(
    eureka: EurekaServer, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    eureka.register("ORDERS", 8001)
    eureka.register("ORDERS", 8002, id="broken\n", **fields)
    with caplog.at_level(logging.WARNING, "gateway"):
        assert urls(look(eureka, "?connect=ip")) == ["http://127.0.0.1:8001"]
    (line,) = caplog.messages
    assert line.startswith(r"eureka ORDERS: instance 'broken\n' has ")


@pytest.mark.parametrize("metadata", [None, [], {}, {"weight": "heavy"}, {"weight": -1}])
def test_a_weight_that_is_none_counts_as_one(eureka: EurekaServer, metadata: Any) -> None:
    eureka.register("ORDERS", 8001, metadata=metadata)
    (target,) = look(eureka).targets
    assert target.weight == 1


@pytest.mark.parametrize(
    "raw", [b"", b"<applications/>", b"[]", b"null", b"{}", b'{"applications": []}', b"[" * 99_999]
)
def test_what_is_no_registry(eureka: EurekaServer, raw: bytes) -> None:
    eureka.raw = raw
    with pytest.raises(DiscoveryError):
        look(eureka)


def test_members_that_are_none_are_passed_over(eureka: EurekaServer) -> None:
    eureka.raw = (
        b'{"applications": {"application": [7, {"name": "ORDERS", "instance": [null, "x", {},'
        b'{"instanceId": "", "hostName": "10.0.0.1", "status": "UP", "port": 80},'
        b'{"instanceId": 5, "status": ["UP"], "hostName": "h"}, {"app": 3, "hostName": "h"}]},'
        b'{"instance": {"hostName": "nameless"}}, {"name": "ORDERS"}]}}'
    )
    assert urls(look(eureka)) == ["http://10.0.0.1"]


def test_a_password_is_sent_and_never_told(eureka: EurekaServer) -> None:
    eureka.user = "ada:hunter2"
    eureka.register("ORDERS", 8001)
    servers = f"http://ada:hunter2@{eureka.authority}/eureka"
    assert urls(parse("eureka:///ORDERS", servers=servers).begin()(NEVER))
    eureka.user = "ada:other"
    with pytest.raises(DiscoveryError, match="answers 401") as caught:
        parse("eureka:///ORDERS", servers=servers, interval=0.01).begin()(NEVER)
    assert "hunter2" not in str(caught.value)


def test_servers_are_tried_in_turn(eureka: EurekaServer) -> None:
    eureka.register("ORDERS", 8001)
    with EurekaServer() as other:
        other.register("ORDERS", 8001)
        servers = f"http://127.0.0.1:1/eureka,{other.url},{eureka.url}"
        find = parse("eureka:///ORDERS", servers=servers, interval=0.01).begin()
        assert urls(find(NEVER)) == ["http://127.0.0.1:8001"]
        assert not eureka.calls
        other.status = 503
        time.sleep(0.05)
        assert urls(find(NEVER)) == ["http://127.0.0.1:8001"]
        asked = len(other.calls)
        time.sleep(0.05)
        assert urls(find(NEVER)) == ["http://127.0.0.1:8001"]
        assert len(other.calls) == asked
        eureka.outage = True
        time.sleep(0.05)
        with pytest.raises(DiscoveryError) as caught:
            find(NEVER)
        assert "127.0.0.1:1: connection_refused" in str(caught.value)
        assert f"{other.authority} answers 503" in str(caught.value)
        assert eureka.authority in str(caught.value)


def test_one_fetch_serves_all_services(eureka: EurekaServer) -> None:
    eureka.register("ORDERS", 8001)
    eureka.register("USERS", 8002)
    looks = [
        parse(f"eureka://{eureka.authority}/eureka/{app}").begin() for app in ("ORDERS", "USERS")
    ]
    assert [urls(one(NEVER)) for one in looks] == [
        ["http://127.0.0.1:8001"],
        ["http://127.0.0.1:8002"],
    ]
    assert len(eureka.calls) == 1


def test_one_failure_is_told_to_all_services(eureka: EurekaServer) -> None:
    eureka.outage = True
    looks = [parse(f"eureka://{eureka.authority}/eureka/{app}").begin() for app in "AB"]
    for one in looks:
        with pytest.raises(DiscoveryError, match=eureka.authority):
            one(NEVER)
    assert len(eureka.calls) == 1

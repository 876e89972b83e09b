"""Instances out of Consul, as its documentation wants it asked."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.upstreams.discovery import DiscoveryError, Found
from gateway.upstreams.discovery.addresses import parse_address
from gateway.upstreams.discovery.consul import Consul, next_index, parse, worst_check
from tests.support.wsgi import make_settings
from tests.upstreams.discovery.consul_server import ConsulServer

NEVER = threading.Event()


def provider(consul: ConsulServer, options: str = "", **more: Any) -> Consul:
    return replace(parse(f"consul://{consul.authority}/orders{options}"), wait=1, **more)


def names(found: Found) -> list[str]:
    return [target.origin.url + target.origin.base_path for target in found.targets]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("consul://127.0.0.1:8500/orders", "http://127.0.0.1:8500"),
        ("consul:///orders", "http://127.0.0.1:8500"),
        ("consul://consul.internal/orders", "http://consul.internal:8500"),
        ("consul://[::1]:8500/orders", "http://[::1]:8500"),
        ("consul://consul.internal/orders?tls=true", "https://consul.internal:8501"),
        ("consul://consul.internal:443/orders?tls=true", "https://consul.internal"),
    ],
)
def test_where_consul_is(address: str, url: str) -> None:
    assert parse(address).server.origin.url == url


def test_options_of_an_address() -> None:
    consul = parse(
        "consul://h/a%2Fb?tag=v2&tag=eu&dc=dc2&ns=n&partition=p&node-meta=k:v&filter=A+in+B"
        "&scheme=https&path=/base&passing=false",
        token="secret",
        ca_file="/ca.pem",
    )
    assert consul.service == "a/b"
    assert consul.query == (
        ("tag", "v2"),
        ("tag", "eu"),
        ("dc", "dc2"),
        ("ns", "n"),
        ("partition", "p"),
        ("node-meta", "k:v"),
        ("filter", "A in B"),
    )
    assert (consul.scheme, consul.path, consul.warning) == ("https", "/base", True)
    assert (consul.token, consul.ca_file) == ("secret", "/ca.pem")
    assert "secret" not in repr(consul)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("consul://h", "must be consul://"),
        ("consul://h/", "must be consul://"),
        ("consul://h/a/b", "must be consul://"),
        ("consul://user:hunter2@h/orders", "without user"),
        ("consul://h:99999/orders", "has no port 99999"),
        ("consul://a b/orders", "must be http"),
        ("consul://h/orders?near=_agent", "has an option 'near' that there is not"),
        ("consul://h/orders?token=hunter2", "has an option 'token' that there is not"),
        ("consul://h/orders?scheme=ftp", "scheme= that is not http or https"),
        ("consul://h/orders?tls=yes", "tls= that is not true or false"),
        ("consul://h/orders?tls=true&tls=true", "has tls= twice"),
        ("consul://h/orders?passing=", "passing= that is not"),
        ("consul://h/orders?path=base", "path= that is none"),
        ("consul://h/orders?path=/a?b", "path= that is none"),
        ("consul://h/orders?path=/a b", "path= that is none"),
    ],
)
def test_faulty_addresses(address: str, fault: str) -> None:
    with pytest.raises(ValueError, match="consul://") as caught:
        parse(address)
    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_token_and_authorities_come_from_the_settings() -> None:
    settings = make_settings(CONSUL_TOKEN="secret", UPSTREAM_CA_FILE="/ca.pem")
    consul = parse_address("consul:///orders", settings)
    assert isinstance(consul, Consul)
    assert (consul.token, consul.ca_file) == ("secret", "/ca.pem")


def test_passing_instances_with_their_weights(consul: ConsulServer) -> None:
    consul.register("orders", 8001, weight=3)
    consul.register("orders", 8002, address="10.0.0.2")
    consul.register("orders", 8003, status="warning")
    consul.register("orders", 8004, status="critical")
    consul.register("users", 8005)
    found = provider(consul).begin()(NEVER)
    assert names(found) == ["http://127.0.0.1:8001", "http://10.0.0.2:8002"]
    assert [target.weight for target in found.targets] == [3, 1]
    assert found.next_look == 0


def test_those_that_warn_if_wanted(consul: ConsulServer) -> None:
    consul.register("orders", 8001, weight=8)
    consul.register("orders", 8002, weight=8, status="warning")
    consul.register("orders", 8003, status="critical")
    consul.register("orders", 8004, status="maintenance")
    found = provider(consul, "?passing=false").begin()(NEVER)
    assert names(found) == ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]
    assert [target.weight for target in found.targets] == [8, 1]


def test_scheme_path_and_the_nodes_address(consul: ConsulServer) -> None:
    consul.register("orders", 8001, meta={"secure": "true"})
    consul.register("orders", 8002, address="")
    consul.register("orders", 8003, address="fd00::1")
    assert names(provider(consul).begin()(NEVER)) == [
        "https://127.0.0.1:8001",
        "http://127.0.0.1:8002",
        "http://[fd00::1]:8003",
    ]
    found = provider(consul, "?scheme=http&path=/v1").begin()(NEVER)
    assert names(found)[0] == "http://127.0.0.1:8001/v1"


def test_what_is_sent(consul: ConsulServer) -> None:
    consul.register("orders", 8001, tags=("v2",))
    consul.token = "secret"
    look = provider(consul, "?tag=v2&dc=dc1", token="secret").begin()
    look(NEVER)
    look(NEVER)
    first, second = consul.calls
    assert first.path == ("v1", "health", "service", "orders")
    assert first.query == {"tag": "v2", "dc": "dc1", "passing": "true"}
    assert second.query == {**first.query, "index": "11", "wait": "1s"}
    assert first.headers["x-consul-token"] == "secret"


def test_a_change_ends_the_wait(consul: ConsulServer) -> None:
    gone = consul.register("orders", 8001)
    consul.register("orders", 8002)
    look = replace(provider(consul), wait=30).begin()
    look(NEVER)
    begun = time.monotonic()
    threading.Timer(0.3, consul.deregister, (gone,)).start()
    assert names(look(NEVER)) == ["http://127.0.0.1:8002"]
    assert 0.2 < time.monotonic() - begun < 10


def test_without_a_change_the_same_is_found_after_the_wait(consul: ConsulServer) -> None:
    consul.register("orders", 8001)
    look = provider(consul).begin()
    first = look(NEVER)
    begun = time.monotonic()
    assert look(NEVER) == first
    assert time.monotonic() - begun > 0.9


def test_a_look_ends_with_the_office(consul: ConsulServer) -> None:
    consul.register("orders", 8001)
    look = replace(provider(consul), wait=30).begin()
    look(NEVER)
    over = threading.Event()
    threading.Timer(0.2, over.set).start()
    begun = time.monotonic()
    with pytest.raises(DiscoveryError, match="not waited for"):
        look(over)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("index", "told", "then"),
    [
        (0, "11", 11),
        (11, "11", 11),
        (11, "12", 12),
        (12, "11", 0),
        (0, "0", 1),
        (0, "", 1),
        (5, "0", 0),
        (5, "nonsense", 0),
        (0, "-3", 1),
        (0, "1" * 20, int("1" * 20)),
        (0, "1" * 21, 1),
        (0, "٣", 1),
    ],
)
def test_index(index: int, told: str, then: int) -> None:
    assert next_index(index, told) == then


def test_an_index_that_goes_backwards_begins_anew(consul: ConsulServer) -> None:
    consul.register("orders", 8001)
    look = provider(consul).begin()
    look(NEVER)
    consul.restore(3)
    look(NEVER)
    look(NEVER)
    look(NEVER)
    assert [call.query.get("index") for call in consul.calls] == [None, "11", None, "3"]


def test_after_a_failure_nothing_is_waited_for(consul: ConsulServer) -> None:
    consul.register("orders", 8001)
    look = replace(provider(consul), wait=30).begin()
    look(NEVER)
    consul.outage = True
    with pytest.raises(DiscoveryError, match=consul.authority):
        look(NEVER)
    consul.outage = False
    consul.restore(2)
    assert names(look(NEVER)) == ["http://127.0.0.1:8001"]
    assert "index" not in consul.calls[-1].query


def test_changes_in_quick_succession_are_not_all_looked_at(consul: ConsulServer) -> None:
    consul.told_index = "0"  # as by a Consul with a bug: nothing would ever be waited for
    look = provider(consul).begin()
    pauses = [look(NEVER).next_look for _ in range(30)]
    assert pauses[0] == 0
    assert pauses[-1] > 0


def test_nobody_listens() -> None:
    with pytest.raises(DiscoveryError, match="connection_refused"):
        parse("consul://127.0.0.1:1/orders").begin()(NEVER)


def test_a_wrong_token_is_told_of_without_it(consul: ConsulServer) -> None:
    consul.token = "right"
    with pytest.raises(DiscoveryError, match="403: CONSUL_TOKEN") as caught:
        provider(consul, token="wrong").begin()(NEVER)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"null", b"{}", b'"x"', b"[" * 100_000, b"\xff\xfe", b"[NaN]"]
)
def test_what_is_no_answer(consul: ConsulServer, raw: bytes) -> None:
    consul.raw = raw
    with pytest.raises(DiscoveryError):
        provider(consul).begin()(NEVER)


def test_an_endless_answer_is_not_read(consul: ConsulServer) -> None:
    consul.raw = b"[" + b" " * (9 * 1024 * 1024) + b"]"
    with pytest.raises(DiscoveryError, match="more than 8388608 bytes"):
        provider(consul).begin()(NEVER)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("port", [0, -1, 65536, None, "http", 80.5, True, [], {}, "٨٠"]),
        (
            "address",
            [
                "a b",
                "a\r\nX: y",
                "a/b",
                "a@b",
                "a" * 254,
                7,
                ["a"],
                {"a": 1},
                "fe80::1%eth0",
                "[::1]x",
            ],
        ),
    ],
)
def test_a_broken_instance_is_left_out_with_a_line_in_the_log(
    consul: ConsulServer, caplog: pytest.LogCaptureFixture, field: str, values: list[Any]
) -> None:
    consul.register("orders", 8001)
    for number, value in enumerate(values):
        told = {"port": 8002, field: value}
        consul.register("orders", **told, id=f"broken-{number}\n")
    look = provider(consul).begin()
    with caplog.at_level(logging.WARNING, "gateway"):
        assert names(look(NEVER)) == ["http://127.0.0.1:8001"]
        consul.touch()
        look(NEVER)
    assert len(caplog.messages) == len(values)
    assert all(r"instance 'broken-" in line and "\n" not in line for line in caplog.messages)


@pytest.mark.parametrize("weight", [-1, 65536, None, "x", 1.5, True, []])
def test_a_weight_that_is_none_counts_as_one(consul: ConsulServer, weight: Any) -> None:
    consul.register("orders", 8001, weight=weight)
    (target,) = provider(consul).begin()(NEVER).targets
    assert target.weight == 1


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        (None, "passing"),
        ([], "passing"),
        ([{"Status": "passing"}], "passing"),
        ([{"Status": "passing"}, {"Status": "warning"}], "warning"),
        ([{"Status": "warning"}, {"Status": "critical"}], "critical"),
        ([{"Status": "maintenance"}], "critical"),
        ([{"Status": ["passing"]}], "critical"),
        ([{}], "critical"),
        ([7], "critical"),
    ],
)
def test_what_checks_come_to(checks: Any, status: str) -> None:
    assert worst_check({"Checks": checks}) == status

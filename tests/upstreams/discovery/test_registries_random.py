"""Whatever a registry says, the answer is instances that can be used, or a DiscoveryError."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams import Target
from gateway.upstreams.discovery import DiscoveryError
from gateway.upstreams.discovery.consul import Consul, next_index
from gateway.upstreams.discovery.consul import parse as parse_consul
from gateway.upstreams.discovery.eureka import Eureka
from gateway.upstreams.discovery.eureka import parse as parse_eureka
from gateway.upstreams.discovery.eureka_registry import hashcode, instances_in
from gateway.upstreams.discovery.registered import Sieve
from gateway.upstreams.discovery.registry_client import Answer
from gateway.urls import Origin

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
HOSTS = st.sampled_from(["10.0.0.1", "orders.internal", "fd00::1", "", "a b", "a\r\nb", "a/b", "-"])
NUMBERS = st.sampled_from([80, "80", 0, -1, 65536, 10**30, True, "x"])
PARSERS: tuple[tuple[Callable[[str], Consul | Eureka], str], ...] = (
    (parse_consul, "consul"),
    (parse_eureka, "eureka"),
)
WORDS = st.sampled_from(["passing", "warning", "critical", "UP", "DOWN", "true", "DELETED"])


def mess(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of these members, each as it should be or not; or no object at all."""
    members = {name: value | JUNK for name, value in known.items()}
    return st.fixed_dictionaries({}, optional=members) | JUNK


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=4) | one


CONSUL = several(
    mess(
        Node=mess(Address=HOSTS),
        Service=mess(
            ID=st.text(max_size=5),
            Address=HOSTS,
            Port=NUMBERS,
            Weights=mess(Passing=NUMBERS, Warning=NUMBERS),
            Meta=mess(secure=WORDS),
        ),
        Checks=several(mess(Status=WORDS)),
    )
)
PORT = st.fixed_dictionaries({}, optional={"$": NUMBERS, "@enabled": WORDS}) | NUMBERS | JUNK
EUREKA = mess(
    applications=mess(
        apps__hashcode=WORDS,
        application=several(
            mess(
                name=WORDS,
                instance=several(
                    mess(
                        instanceId=WORDS,
                        app=WORDS,
                        hostName=HOSTS,
                        ipAddr=HOSTS,
                        status=WORDS,
                        actionType=WORDS,
                        port=PORT,
                        securePort=PORT,
                        metadata=mess(weight=NUMBERS),
                        dataCenterInfo=mess(metadata=JUNK),
                    )
                ),
            )
        ),
    )
)


def check(targets: tuple[Target, ...]) -> None:
    """They can be connected to, and be told to the other workers."""
    for target in targets:
        origin = target.origin
        assert re.fullmatch(r"[A-Za-z0-9._:\-]+", origin.host)
        assert 0 < origin.port < 65536
        assert 0 <= target.weight < 65536
        told = Target(Origin.parse(origin.url + origin.base_path), target.weight, target.address)
        assert told == target


@given(CONSUL, st.sampled_from(["", "?passing=false", "?scheme=https&path=/v1"]))
def test_consul(document: Any, options: str) -> None:
    try:
        check(parse_consul(f"consul:///orders{options}").targets(document, Sieve("consul")))
    except DiscoveryError:
        assert not isinstance(document, list)


@given(EUREKA, st.sampled_from(["", "?scheme=https", "?connect=ip&path=/v1"]))
def test_eureka(document: Any, options: str) -> None:
    eureka = parse_eureka(f"eureka://h/eureka/A{options}")
    try:
        instances = list(instances_in(document))
    except DiscoveryError:
        return
    assert re.fullmatch(r"([A-Z_]+_\d+_)*", hashcode({one.key: one for one in instances}))
    check(Sieve("eureka").targets(instances, eureka.target, lambda one: one.id))


@given(st.binary(max_size=60) | JUNK.map(orjson.dumps))
def test_any_bytes(body: bytes) -> None:
    answer = Answer("h", 200, {}, body)
    try:
        document = answer.json()
    except DiscoveryError:
        return
    if not isinstance(document, list):
        with pytest.raises(DiscoveryError):
            parse_consul("consul:///orders").targets(document, Sieve("consul"))


@given(st.integers(0, 10**20), st.text(max_size=25) | st.integers(0, 10**21).map(str))
def test_any_index(index: int, told: str) -> None:
    then = next_index(index, told)
    assert then == 0 or then >= max(index, 1)


@given(st.text(max_size=40))
def test_any_address(text: str) -> None:
    for parse, scheme in PARSERS:
        with contextlib.suppress(ValueError):
            parsed = parse(f"{scheme}://{text}")
            assert parsed.scheme in ("", "http", "https")


@given(st.text(max_size=20), st.sampled_from(["h", "h:8500", "", "h/eureka", "[::1]"]))
def test_no_address_tells_a_password(user: str, rest: str) -> None:
    for parse, scheme in PARSERS:
        try:
            parse(f"{scheme}://{user}:hunter2@{rest}/orders")
        except ValueError as error:
            fault = str(error)
        else:
            fault = ""  # no user at all, but part of an option, or of a name
        assert "hunter2" not in fault

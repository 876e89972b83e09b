"""The copy of a registry: what changed is taken in, and what does not add up is fetched anew."""

from __future__ import annotations

import threading

import pytest

from gateway.upstreams.discovery import DiscoveryError
from gateway.upstreams.discovery.eureka_registry import EurekaRegistry
from gateway.upstreams.discovery.eureka_servers import EurekaServers, parse_servers
from tests.upstreams.discovery.eureka_server import EurekaServer

NEVER = threading.Event()


class Copy:
    """A copy whose clock only a test moves."""

    def __init__(self, *servers: EurekaServer) -> None:
        self.now = 1000.0
        known = parse_servers(",".join(server.url for server in servers))
        self.registry = EurekaRegistry(EurekaServers(known), 30.0, lambda: self.now)

    def look(self, app: str = "ORDERS", *, after: float = 30.0) -> set[str]:
        """The ids of who is up, some seconds later."""
        self.now += after
        instances, _ = self.registry.look(app, NEVER)
        return {one.id for one in instances}


def asked(eureka: EurekaServer) -> list[str]:
    """What was fetched since the last time: `all` or `delta`."""
    found = ["delta" if call.path[-1] == "delta" else "all" for call in eureka.calls]
    eureka.calls.clear()
    return found


@pytest.fixture
def copy(eureka: EurekaServer) -> Copy:
    """A copy of a registry with ORDERS 1 and 2 and USERS 3."""
    for app, name in (("ORDERS", "1"), ("ORDERS", "2"), ("USERS", "3")):
        eureka.register(app, 8000 + int(name), id=name)
    made = Copy(eureka)
    assert made.look() == {"1", "2"}
    assert asked(eureka) == ["all"]
    return made


def test_nothing_is_asked_before_its_time(eureka: EurekaServer, copy: Copy) -> None:
    assert copy.look(after=29.0) == {"1", "2"}
    assert copy.registry.look("ORDERS", NEVER)[1] == 1.0
    assert asked(eureka) == []


def test_changes_are_taken_in(eureka: EurekaServer, copy: Copy) -> None:
    eureka.deregister("ORDERS", "1")
    eureka.register("ORDERS", 8004, id="4")
    eureka.register("ORDERS", 8002, id="2", status="DOWN")
    assert copy.look() == {"4"}
    assert copy.look("USERS", after=0) == {"3"}
    assert asked(eureka) == ["delta"]
    eureka.register("ORDERS", 8002, id="2", status="UP")
    assert copy.look() == {"2", "4"}
    assert asked(eureka) == ["delta"]


def test_a_copy_that_does_not_add_up_is_fetched_anew(eureka: EurekaServer, copy: Copy) -> None:
    eureka.register("ORDERS", 8004, id="4")
    eureka.forget_changes()
    assert copy.look() == {"1", "2", "4"}
    assert asked(eureka) == ["delta", "all"]
    assert copy.look() == {"1", "2", "4"}
    assert asked(eureka) == ["delta"]


def test_after_a_long_time_changes_are_not_trusted(eureka: EurekaServer, copy: Copy) -> None:
    eureka.outage = True
    for _ in range(4):
        with pytest.raises(DiscoveryError):
            copy.look()
    eureka.outage = False
    eureka.calls.clear()
    assert copy.look() == {"1", "2"}
    assert asked(eureka) == ["all"]


def test_a_failure_leaves_what_is_known(eureka: EurekaServer, copy: Copy) -> None:
    eureka.outage = True
    with pytest.raises(DiscoveryError):
        copy.look()
    eureka.outage = False
    eureka.deregister("ORDERS", "1")
    assert copy.look(after=1.0) == {"2"}


def test_without_deltas_all_is_fetched_and_believed(eureka: EurekaServer, copy: Copy) -> None:
    eureka.deltas = False
    eureka.deregister("ORDERS", "1")
    assert copy.look() == {"2"}
    assert asked(eureka) == ["delta", "all"]


def test_changes_that_make_no_sense_are_not_taken_in(eureka: EurekaServer, copy: Copy) -> None:
    eureka.raw = b"[]"
    with pytest.raises(DiscoveryError):
        copy.look()
    assert asked(eureka) == ["delta", "all"]
    eureka.raw = None
    assert copy.look() == {"1", "2"}


def test_a_server_that_was_restarted_is_given_time(eureka: EurekaServer, copy: Copy) -> None:
    eureka.restart()
    eureka.register("ORDERS", 8001, id="1")
    assert copy.look() == {"1", "2"}
    assert copy.look("USERS", after=0) == {"3"}
    eureka.register("USERS", 8003, id="3")
    assert copy.look() == {"1", "2"}
    assert copy.look("USERS", after=0) == {"3"}
    copy.look()
    assert copy.look() == {"1"}
    assert copy.look("USERS", after=0) == {"3"}


def test_who_is_missing_and_said_to_be_gone_is_gone(eureka: EurekaServer, copy: Copy) -> None:
    eureka.restart()
    eureka.register("ORDERS", 8001, id="1")
    assert copy.look() == {"1", "2"}
    eureka.register("ORDERS", 8002, id="2")
    eureka.deregister("ORDERS", "2")
    assert copy.look() == {"1"}


def test_who_is_missing_and_comes_back_down_is_down(eureka: EurekaServer, copy: Copy) -> None:
    eureka.restart()
    assert copy.look() == {"1", "2"}
    eureka.register("ORDERS", 8002, id="2", status="DOWN")
    assert copy.look() == {"1"}


def test_another_server_is_asked_for_all(eureka: EurekaServer) -> None:
    with EurekaServer() as other:
        for server in (eureka, other):
            server.register("ORDERS", 8001, id="1")
        copy = Copy(eureka, other)
        assert copy.look() == {"1"}
        eureka.outage = True
        other.register("ORDERS", 8002, id="2")
        assert copy.look() == {"1", "2"}
        assert asked(other)[-1] == "all"
        assert copy.look() == {"1", "2"}
        assert asked(other) == ["delta"]

"""The gateway as an instance in Eureka: registered, kept alive, taken out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import ConfigurationError, create_app
from gateway.lifecycle import DRAINING, SERVING, STOPPING
from gateway.pulse import OFFICE, Duty, Pulse
from gateway.state import MemoryState
from gateway.upstreams.discovery.eureka_instance import (
    GatewayInstance,
    Presence,
    register_gateway,
)
from gateway.upstreams.discovery.eureka_servers import EurekaServers, parse_servers
from gateway.urls import Origin
from tests.support.gunicorn import wait_for
from tests.support.wsgi import make_settings, open_service
from tests.upstreams.discovery.eureka_server import EurekaServer

NEVER = threading.Event()
ID = "gw.example:edge:8000"


@dataclass
class Life:
    """A presence whose phase and clock a test moves."""

    servers: str
    origin: str = "http://gw.example:8000"
    phase: int = SERVING
    now: float = 100.0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.presence = self.another()

    def another(self) -> Presence:
        """The presence in another worker."""
        me = GatewayInstance("edge", Origin.parse(self.origin), 30)
        servers = EurekaServers(parse_servers(self.servers))
        return Presence(
            me, servers, phase=lambda: self.phase, clock=lambda: self.now, now=lambda: self.now
        )

    def beat(self, status: str = "UP", *, after: float = 0.0) -> None:
        """A glance, some seconds later."""
        self.now += after
        self.presence.beat(status, NEVER)


@pytest.fixture
def life(eureka: EurekaServer) -> Life:
    return Life(eureka.url)


@pytest.fixture
def serving(life: Life) -> Iterator[Callable[[Presence], threading.Thread]]:
    """Let a presence serve in a thread; it ends with the test."""
    threads = []

    def serve(presence: Presence) -> threading.Thread:
        thread = threading.Thread(target=presence, args=(life.over,))
        thread.start()
        threads.append(thread)
        return thread

    yield serve
    life.over.set()
    for thread in threads:
        thread.join(10)


def test_what_is_registered(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    document = eureka.document("EDGE")
    address = document.pop("ipAddr")
    assert address == "127.0.0.1"
    assert document == {
        "instanceId": ID,
        "app": "EDGE",
        "hostName": "gw.example",
        "vipAddress": "edge",
        "secureVipAddress": "edge",
        "status": "UP",
        "port": {"$": 8000, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "homePageUrl": "http://gw.example:8000/",
        "statusPageUrl": "http://gw.example:8000/readyz",
        "healthCheckUrl": "http://gw.example:8000/healthz",
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
            "name": "MyOwn",
        },
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        "lastDirtyTimestamp": "100000",
    }


def test_behind_tls(eureka: EurekaServer) -> None:
    Life(eureka.url, "https://10.1.2.3/api").beat()
    document = eureka.document("EDGE")
    assert document["ipAddr"] == document["hostName"] == "10.1.2.3"
    assert document["port"] == {"$": 80, "@enabled": "false"}
    assert document["securePort"] == {"$": 443, "@enabled": "true"}
    assert document["secureHealthCheckUrl"] == "https://10.1.2.3/api/healthz"
    assert "healthCheckUrl" not in document


def test_heartbeats(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    life.beat(after=29)
    life.beat(after=1)
    life.beat(after=30)
    assert [call.method for call in eureka.calls] == ["POST", "PUT", "PUT"]
    heartbeat = eureka.calls[1]
    assert heartbeat.path == ("eureka", "apps", "EDGE", ID)
    assert heartbeat.query == {"status": "UP", "lastDirtyTimestamp": "100000"}


def test_a_server_that_does_not_know_it_is_told_again(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    eureka.restart()
    life.beat(after=30)
    assert eureka.statuses("EDGE") == {ID: "UP"}


def test_draining_is_told_at_once(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    life.beat("DOWN")
    assert eureka.statuses("EDGE") == {ID: "DOWN"}
    life.beat("DOWN", after=30)
    assert eureka.calls[-1].query["status"] == "DOWN"
    assert eureka.statuses("EDGE") == {ID: "DOWN"}


def test_after_a_crash_while_draining_it_is_up_again(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    life.beat("DOWN", after=1)
    life.now += 1
    life.another().beat("UP", NEVER)
    assert eureka.statuses("EDGE") == {ID: "UP"}


def test_who_was_taken_out_of_service_stays_out(eureka: EurekaServer, life: Life) -> None:
    life.beat()
    servers = EurekaServers(parse_servers(eureka.url))
    servers.call("PUT", f"/apps/EDGE/{ID}/status?value=OUT_OF_SERVICE")
    life.beat(after=30)
    life.another().beat("UP", NEVER)
    assert eureka.statuses("EDGE") == {ID: "OUT_OF_SERVICE"}


def test_failures_are_tried_again_soon_and_logged_once(
    eureka: EurekaServer, life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    eureka.outage = True
    with caplog.at_level(logging.WARNING, "gateway"):
        life.beat()
        life.beat(after=4)
        life.beat(after=1)
        assert len(eureka.calls) == 2
        eureka.outage = False
        eureka.status = 401
        life.beat(after=5)
        eureka.status = 0
        life.beat(after=5)
        life.beat(after=30)
    assert eureka.statuses("EDGE") == {ID: "UP"}
    failed, back = caplog.messages
    assert failed.startswith("eureka: this gateway cannot be registered or kept so: 127.0.0.1")
    assert back == "eureka: this gateway is registered again"


def test_a_heartbeat_that_is_refused_is_a_failure(
    eureka: EurekaServer, life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    life.beat()
    eureka.status = 403
    with caplog.at_level(logging.WARNING, "gateway"):
        life.beat(after=30)
    assert "answers a heartbeat with 403" in caplog.text


def test_when_the_gateway_stops_it_is_taken_out(
    eureka: EurekaServer, life: Life, serving: Callable[[Presence], threading.Thread]
) -> None:
    thread = serving(life.presence)
    assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
    life.phase = DRAINING
    assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "DOWN"})
    life.phase = STOPPING
    thread.join(10)
    assert not thread.is_alive()
    assert eureka.statuses("EDGE") == {}


def test_a_worker_that_ends_while_the_gateway_stops_takes_it_out_too(
    eureka: EurekaServer, life: Life
) -> None:
    life.beat()
    life.phase = STOPPING
    life.over.set()
    life.another()(life.over)
    assert eureka.statuses("EDGE") == {}
    assert [call.method for call in eureka.calls] == ["POST", "DELETE"]


def test_when_only_the_worker_ends_it_stays(
    eureka: EurekaServer, life: Life, serving: Callable[[Presence], threading.Thread]
) -> None:
    thread = serving(life.presence)
    assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
    life.over.set()
    thread.join(10)
    assert eureka.statuses("EDGE") == {ID: "UP"}
    life.over.clear()
    life.now += 10
    serving(life.presence)  # elected once more
    assert wait_for(lambda: len(eureka.of("POST")) == 2)
    assert eureka.statuses("EDGE") == {ID: "UP"}


def test_a_server_that_is_gone_does_not_hold_up_the_end(
    life: Life, eureka: EurekaServer, caplog: pytest.LogCaptureFixture
) -> None:
    eureka.outage = True
    life.phase = STOPPING
    with caplog.at_level(logging.WARNING, "gateway"):
        life.presence(life.over)
    assert "stays registered until its lease ends" in caplog.text


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"EUREKA_APP": "edge"}, "EUREKA_APP is set, but not EUREKA_URL"),
        ({"EUREKA_URL": "http://u:hunter2@h?x"}, "EUREKA_URL: 'h?x' must be http"),
        ({"EUREKA_INSTANCE_URL": "gw:8000"}, "EUREKA_INSTANCE_URL must be http"),
        (
            {"BIND": "unix:/run/g.sock", "TRUSTED_PROXIES": "unix"},
            "EUREKA_INSTANCE_URL must be set",
        ),
        ({"PORT": 0}, "EUREKA_INSTANCE_URL must be set"),
    ],
)
def test_faults_of_the_settings(settings: dict[str, Any], fault: str) -> None:
    usual = {"EUREKA_APP": "edge", "EUREKA_URL": "http://h:8761/eureka"}
    told = settings if "EUREKA_APP" in settings else {**usual, **settings}
    with pytest.raises(ConfigurationError) as caught:
        create_app(make_settings(**told), services=[])
    (line,) = caught.value.faults
    assert line.startswith(fault)
    assert "hunter2" not in line


def test_without_a_name_nothing_is_judged_or_done() -> None:
    service, _ = open_service()
    settings = make_settings(EUREKA_URL="http://h/eureka", PORT=0, EUREKA_INSTANCE_URL="nonsense")
    before = threading.active_count()
    create_app(settings, services=[service]).extensions["gateway"].pulse.begin()
    assert threading.active_count() == before


class Offices(Pulse):
    """A pulse that only notes which offices there are."""

    def __init__(self) -> None:
        super().__init__(MemoryState())
        self.names: list[str] = []

    def when_elected(
        self, name: str, duty: Duty, *, office: str = OFFICE, awaited: bool = False
    ) -> None:
        self.names.append(office)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"PORT": 9000}, "/apps/EDGE/box-1:edge:9000"),
        ({"BIND": "[::1]:9001"}, "/apps/EDGE/box-1:edge:9001"),
        ({"EUREKA_INSTANCE_URL": "https://api.example/gw"}, "/apps/EDGE/api.example:edge:443"),
    ],
)
def test_each_machine_has_an_office_of_its_own(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], path: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "box-1")
    offices = Offices()
    usual = {"EUREKA_APP": "edge", "EUREKA_URL": "http://h:8761/eureka"}
    register_gateway(make_settings(**usual, **settings), offices)
    assert offices.names == [f"eureka{path}"]

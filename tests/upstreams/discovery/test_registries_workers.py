"""Consul and Eureka, played, with real workers: they follow, and the gateway is registered."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.gunicorn import Gateway, start_gateway, wait_for
from tests.upstreams.discovery.consul_server import ConsulServer
from tests.upstreams.discovery.eureka_server import EurekaServer
from tests.upstreams.discovery.test_workers import Load, follow, get, known, slowly

Start = Callable[..., contextlib.AbstractContextManager[Gateway]]
ID = "gw.example:edge:8000"


@pytest.fixture(params=["gevent", "gthread"])
def start(request: pytest.FixtureRequest) -> Start:
    """Start two workers whose service `/things` is found at an address."""

    @contextlib.contextmanager
    def start_with(url: str = "", **settings: str) -> Iterator[Gateway]:
        env = {"THINGS_URL": url, "NOTE": os.devnull, "EUREKA_INTERVAL": "1", **settings}
        with start_gateway(
            "tests.upstreams.discovery.app:app", worker_class=request.param, workers=2, env=env
        ) as running:
            assert wait_for(lambda: len(running.worker_pids()) == 2)
            yield running

    return start_with


def registered(eureka: EurekaServer, **settings: str) -> dict[str, str]:
    """The settings of a gateway that registers itself."""
    instance = {"EUREKA_APP": "edge", "EUREKA_INSTANCE_URL": "http://gw.example:8000"}
    return {"EUREKA_URL": eureka.url, **instance, **settings}


def test_workers_follow_consul_also_through_an_outage(start: Start, consul: ConsulServer) -> None:
    with ScriptedUpstream() as one, ScriptedUpstream() as two:
        slowly(one)
        names = [f"127.0.0.1:{upstream.port}" for upstream in (one, two)]
        consul.token = "s3cret-of-consul"
        first = consul.register("orders", one.port)
        consul.register("orders", two.port)
        url = f"consul://{consul.authority}/orders"
        with start(url, CONSUL_TOKEN=consul.token) as running, Load(running) as load:
            assert follow(running, sorted(names))
            assert load.more()
            assert one.requests
            consul.deregister(first)
            assert follow(running, names[1:])
            assert wait_for(lambda: len(one.closed) == one.connections)
            asked = len(one.requests)
            assert load.more()
            assert len(one.requests) == asked
            consul.outage = True
            assert wait_for(lambda: "things: discovery fails" in running.stderr_text(), 20)
            assert load.more()
            assert all(found == names[1:] for found in known(running, "things").values())
            consul.outage = False
            consul.register("orders", one.port)
            assert follow(running, sorted(names))
            assert "things: discovery works again" in running.stderr_text()
            assert consul.token not in running.stderr_text()
        assert set(load.statuses) == {200}


def test_one_worker_alone_asks_and_stops_at_once(start: Start, consul: ConsulServer) -> None:
    with ScriptedUpstream() as one:
        consul.register("orders", one.port)
        with start(f"consul://{consul.authority}/orders") as running:
            assert follow(running, [f"127.0.0.1:{one.port}"])
            assert wait_for(lambda: any("index" in call.query for call in consul.calls))
            assert len(consul.calls) < 4
            begun = time.monotonic()
            running.signal(signal.SIGTERM)
            running.process.wait(20)
            assert time.monotonic() - begun < 8  # though Consul would have held for 30 seconds


def test_workers_follow_eureka_also_through_an_outage(start: Start, eureka: EurekaServer) -> None:
    with ScriptedUpstream() as one, ScriptedUpstream() as two:
        slowly(one)
        names = [f"127.0.0.1:{upstream.port}" for upstream in (one, two)]
        eureka.user = "ada:s3cret-of-ada"
        eureka.register("ORDERS", one.port, id="one")
        eureka.register("ORDERS", two.port, id="two")
        servers = f"http://{eureka.user}@{eureka.authority}/eureka"
        with start("eureka:///ORDERS", EUREKA_URL=servers) as running, Load(running) as load:
            assert follow(running, sorted(names))
            assert load.more()
            eureka.deregister("ORDERS", "one")
            assert follow(running, names[1:])
            assert wait_for(lambda: len(one.closed) == one.connections)
            asked = len(one.requests)
            assert load.more()
            assert len(one.requests) == asked
            eureka.outage = True
            assert wait_for(lambda: "things: discovery fails" in running.stderr_text(), 20)
            assert load.more()
            assert all(found == names[1:] for found in known(running, "things").values())
            eureka.outage = False
            eureka.register("ORDERS", one.port, id="one")
            assert follow(running, sorted(names))
            assert "s3cret-of-ada" not in running.stderr_text()
        assert set(load.statuses) == {200}


def test_the_gateway_is_registered_while_it_serves(start: Start, eureka: EurekaServer) -> None:
    with start(**registered(eureka, DRAIN_SECONDS="2")) as running:
        assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
        assert wait_for(lambda: len(eureka.of("PUT")) > 2)
        assert len(eureka.of("POST")) == 1
        running.signal(signal.SIGTERM)
        assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "DOWN"})
        assert get(running) == 503  # of a service without instances: it still answers
        running.process.wait(20)
        assert eureka.statuses("EDGE") == {}
        assert len(eureka.of("DELETE")) >= 1


def test_without_draining_it_is_taken_out_all_the_same(start: Start, eureka: EurekaServer) -> None:
    with start(**registered(eureka, EUREKA_INTERVAL="30")) as running:
        assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
        running.signal(signal.SIGTERM)
        running.process.wait(20)
        assert eureka.statuses("EDGE") == {}


def test_a_worker_that_is_killed_is_followed_by_another(start: Start, eureka: EurekaServer) -> None:
    with start(**registered(eureka)) as running:
        assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
        for victim in running.worker_pids():
            os.kill(victim, signal.SIGKILL)
            assert wait_for(lambda gone=victim: gone not in running.worker_pids())  # type: ignore[misc]
            seen = len(eureka.calls)
            assert wait_for(lambda before=seen: len(eureka.calls) > before + 2)  # type: ignore[misc]
            assert eureka.statuses("EDGE") == {ID: "UP"}
        assert not eureka.of("DELETE")


def test_a_reload_takes_nothing_out(start: Start, eureka: EurekaServer) -> None:
    with start(**registered(eureka)) as running:
        assert wait_for(lambda: eureka.statuses("EDGE") == {ID: "UP"})
        old = running.worker_pids()
        running.signal(signal.SIGHUP)
        assert wait_for(lambda: not set(old) & set(running.worker_pids()), 20)
        seen = len(eureka.calls)
        assert wait_for(lambda: len(eureka.calls) > seen + 2)
        assert eureka.statuses("EDGE") == {ID: "UP"}
        assert not eureka.of("DELETE")


def test_a_eureka_that_is_silent_does_not_hold_up_the_stop(start: Start) -> None:
    with ScriptedUpstream() as silent:
        silent.script([])
        settings = {"EUREKA_URL": silent.url, "EUREKA_APP": "edge"}
        with start(**settings, EUREKA_INSTANCE_URL="http://gw.example:8000") as running:
            assert wait_for(lambda: bool(silent.requests))
            begun = time.monotonic()
            running.signal(signal.SIGTERM)
            running.process.wait(20)
            assert time.monotonic() - begun < 8
            assert running.process.returncode == 0

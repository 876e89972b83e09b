"""Instances that come and go while real workers serve: everybody follows, and nothing fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.testing import ScriptedUpstream, Send, Wait
from tests.support.client import Ended, exchange
from tests.support.dns_server import DnsServer, dns_server, needs_dnsmasq
from tests.support.gunicorn import Gateway, start_gateway, wait_for

LOST = 0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["gevent", "gthread"])
def worker_class(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """The list of the service with a provider of its own."""
    path = tmp_path / "note"
    path.write_text("")
    return path


@pytest.fixture
def start(
    worker_class: str, note: Path
) -> Callable[..., contextlib.AbstractContextManager[Gateway]]:
    @contextlib.contextmanager
    def start_with(url: str = "", **settings: str) -> Iterator[Gateway]:
        env = {"THINGS_URL": url, "NOTE": str(note), "RATE_LIMIT_DEFAULT": "", **settings}
        with start_gateway(
            "tests.upstreams.discovery.app:app", worker_class=worker_class, workers=2, env=env
        ) as running:
            assert wait_for(lambda: len(running.worker_pids()) == 2)
            yield running

    return start_with


Start = Callable[..., contextlib.AbstractContextManager[Gateway]]


def get(running: Gateway, path: str = "/things/1") -> int:
    """The status of a request on a connection of its own; LOST if there was no answer."""
    message = f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
    try:
        return exchange(running.address, message.encode()).status
    except (Ended, OSError):
        return LOST


def known(running: Gateway, service: str) -> dict[int, list[str]]:
    """What each worker knows; asked until all have answered."""
    found: dict[int, list[str]] = {}
    workers = running.worker_pids()

    def all_answered() -> bool:
        request = b"GET /things/worker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        told = json.loads(exchange(running.address, request).body)
        found[told["pid"]] = told[service]
        return found.keys() >= set(workers)

    assert wait_for(all_answered, 20)
    return {pid: found[pid] for pid in workers}


def follow(running: Gateway, wanted: list[str], service: str = "things") -> bool:
    """Whether all workers came to know exactly these."""
    return wait_for(lambda: all(names == wanted for names in known(running, service).values()), 20)


class Load:
    """Clients that go on asking until the block ends."""

    def __init__(self, running: Gateway, path: str = "/things/1", clients: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._running, self._path = running, path
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def _client(self) -> None:
        while not self._over.wait(0.03):
            status = get(self._running, self._path)
            with self._lock:
                self.statuses[status] += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def more(self, requests: int = 40) -> bool:
        """Whether so many more were answered."""
        goal = self.statuses.total() + requests
        return wait_for(lambda: self.statuses.total() >= goal, 30)


def slowly(upstream: ScriptedUpstream) -> None:
    """Have every answer take a while, so that some are always under way."""
    upstream.script([Wait(0.1), Send(OK)])


def test_an_instance_leaves_and_another_comes_under_load(start: Start, tmp_path: Path) -> None:
    listed = tmp_path / "instances"
    with ScriptedUpstream() as one, ScriptedUpstream() as two, ScriptedUpstream() as three:
        slowly(one)
        slowly(two)
        listed.write_text(f"{one.url}\n{two.url}\n")
        names = [f"127.0.0.1:{upstream.port}" for upstream in (one, two, three)]
        with start(f"file://{listed}") as running, Load(running) as load:
            assert follow(running, sorted(names[:2]))
            assert load.more()
            assert one.requests
            listed.write_text(f"{two.url}\n{three.url}\n")
            assert follow(running, sorted(names[1:]))
            # What was under way there ends in its time; then nothing is asked any more.
            assert wait_for(lambda: len(one.closed) == one.connections)
            one.close()
            assert load.more()
            assert wait_for(lambda: bool(three.requests))
        assert set(load.statuses) == {200}


def test_a_faulty_file_changes_nothing(start: Start, tmp_path: Path) -> None:
    listed = tmp_path / "instances"
    with ScriptedUpstream() as one, ScriptedUpstream() as two:
        with start(f"file://{listed}") as running:
            assert wait_for(lambda: "No such file" in running.stderr_text())
            assert get(running) == 503
            listed.write_text(one.url)
            assert follow(running, [f"127.0.0.1:{one.port}"])
            assert "things: discovery works again" in running.stderr_text()
            with Load(running) as load:
                listed.write_text("nonsense")
                assert wait_for(lambda: "'nonsense' must be http" in running.stderr_text())
                listed.unlink()
                assert load.more()
                new = listed.with_suffix(".new")
                new.write_text(two.url)
                new.replace(listed)
                assert follow(running, [f"127.0.0.1:{two.port}"])
                assert load.more()
            assert set(load.statuses) == {200}


def test_a_provider_of_ones_own_and_a_worker_that_dies(start: Start, note: Path) -> None:
    with ScriptedUpstream() as one, ScriptedUpstream() as two:
        note.write_text(one.url)
        with start() as running:
            assert follow(running, [f"127.0.0.1:{one.port}"], "own")
            assert get(running, "/own/1") == 200
            note.write_text("down")
            assert wait_for(lambda: "own: discovery fails" in running.stderr_text())
            for victim in running.worker_pids():
                os.kill(victim, signal.SIGKILL)
                assert wait_for(lambda: len(running.worker_pids()) == 2)
                assert wait_for(lambda gone=victim: gone not in running.worker_pids())  # type: ignore[misc]
                # A new worker goes on with what the others knew.
                assert follow(running, [f"127.0.0.1:{one.port}"], "own")
                assert get(running, "/own/1") == 200
            note.write_text(two.url)
            assert follow(running, [f"127.0.0.1:{two.port}"], "own")
            assert get(running, "/own/1") == 200


def test_the_first_request_waits_for_the_first_look(start: Start, note: Path) -> None:
    with ScriptedUpstream() as one:
        note.write_text(one.url)
        with start(CONNECT_TIMEOUT="10") as running:
            assert get(running, "/own/1") == 200


@contextlib.contextmanager
def at_one_port(*addresses: str) -> Iterator[list[ScriptedUpstream]]:
    """Upstreams at the same port of several addresses."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(ScriptedUpstream(addresses[0]))
        rest = [stack.enter_context(ScriptedUpstream(one, first.port)) for one in addresses[1:]]
        yield [first, *rest]


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as found:
        yield found


@needs_dnsmasq
def test_workers_follow_dns_also_through_an_outage(start: Start, server: DnsServer) -> None:
    addresses = [f"127.0.0.{number}" for number in (2, 3, 4)]
    server.start("127.0.0.2 orders.test\n127.0.0.3 orders.test\n")
    with at_one_port(*addresses) as (one, _two, three):
        names = [f"orders.test:{one.port}@{address}" for address in addresses]
        url = f"dns://orders.test:{one.port}"
        with start(url, DNS_SERVERS=server.address) as running, Load(running) as load:
            assert follow(running, names[:2])
            server.change("127.0.0.3 orders.test\n127.0.0.4 orders.test\n")
            assert follow(running, names[1:])
            assert load.more()
            (host,) = {tuple(request.header(b"Host")) for request in three.requests}
            assert host == (f"orders.test:{one.port}".encode(),)
            server.stop()
            assert wait_for(lambda: "things: discovery fails" in running.stderr_text(), 20)
            assert load.more()
            assert all(found == names[1:] for found in known(running, "things").values())
            server.start("127.0.0.2 orders.test\n")
            assert follow(running, names[:1])
            assert "things: discovery works again" in running.stderr_text()
            assert load.more()
        assert set(load.statuses) == {200}


@needs_dnsmasq
def test_srv_weights_and_priorities(start: Start, server: DnsServer) -> None:
    hosts = "127.0.0.1 one.test two.test\n"
    with ScriptedUpstream() as one, ScriptedUpstream() as two, ScriptedUpstream() as spare:
        server.start(
            hosts,
            options=[
                f"--srv-host=_http._tcp.orders.test,one.test,{one.port},0,90",
                f"--srv-host=_http._tcp.orders.test,two.test,{two.port},0,10",
                f"--srv-host=_http._tcp.orders.test,two.test,{spare.port},10,10",
            ],
        )
        url = "srv://_http._tcp.orders.test"
        with start(url, DNS_SERVERS=server.address) as running:
            instances = [f"one.test:{one.port}@127.0.0.1", f"two.test:{two.port}@127.0.0.1"]
            assert follow(running, instances)
            for _ in range(100):
                assert get(running) == 200
            assert len(one.requests) > 60
            assert len(two.requests) > 0
            assert not spare.requests
            server.stop()
            record = f"--srv-host=_http._tcp.orders.test,two.test,{spare.port},10,10"
            server.start(hosts, options=[record])
            assert follow(running, [f"two.test:{spare.port}@127.0.0.1"])
            assert get(running) == 200


@needs_dnsmasq
def test_a_silent_dns_server_holds_up_no_request(start: Start, server: DnsServer) -> None:
    server.start("127.0.0.2 orders.test\n")
    with at_one_port("127.0.0.2") as (one,):
        url = f"dns://orders.test:{one.port}"
        with start(url, DNS_SERVERS=server.address) as running:
            assert follow(running, [f"orders.test:{one.port}@127.0.0.2"])
            server.hang()
            assert wait_for(lambda: "things: discovery fails" in running.stderr_text(), 20)
            began = time.monotonic()
            assert {get(running) for _ in range(50)} == {200}
            assert time.monotonic() - began < 20
            server.go_on()

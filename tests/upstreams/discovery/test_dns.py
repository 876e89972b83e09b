"""What DNS is asked, and what is made of its answers; the server is a real one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from gateway.errors import ConnectFailed
from gateway.testing import ScriptedUpstream
from gateway.transport.connection import connect
from gateway.upstreams import Target
from gateway.upstreams.discovery import DiscoveryError, Found, Look
from gateway.upstreams.discovery import dns as discovery
from gateway.upstreams.discovery.dns import Addresses, Services, parse
from gateway.urls import Origin
from tests.support.dns_server import DnsServer, dns_server, needs_dnsmasq
from tests.support.tls import Authority, serve_tls

pytestmark = needs_dnsmasq
TWO = "127.0.0.2 orders.test\n127.0.0.3 orders.test\n"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server(ttl=7) as found:
        yield found


def look_at(server: DnsServer, address: str) -> Look:
    return parse(address, servers=[server.address]).begin()


def ask(look: Look) -> Found:
    return look(threading.Event())


def shown(found: Found) -> list[tuple[str, int]]:
    return sorted((target.name, target.weight) for target in found.targets)


def srv(name: str, host: str, port: int, priority: int = 0, weight: int = 0) -> str:
    return f"--srv-host={name},{host},{port},{priority},{weight}"


def test_every_address_is_an_instance_of_the_name(server: DnsServer) -> None:
    server.start(TWO + "::1 orders.test\n")
    found = ask(look_at(server, "dns://orders.test:8443/v1;scheme=https"))
    origin = Origin.parse("https://orders.test:8443/v1")
    assert set(found.targets) == {
        Target(origin, address=address) for address in ("127.0.0.2", "127.0.0.3", "::1")
    }
    assert found.next_look == 7


def test_a_family_that_has_no_way_from_here_is_left_out(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start("127.0.0.2 both.test\n2001:db8::1 both.test six.test\n")
    monkeypatch.setattr(discovery, "_has_route", lambda address: ":" not in address)
    assert shown(ask(look_at(server, "dns://both.test"))) == [("both.test@127.0.0.2", 1)]
    assert shown(ask(look_at(server, "dns://six.test"))) == [("six.test@2001:db8::1", 1)]
    monkeypatch.setattr(discovery, "_has_route", lambda address: False)
    assert len(ask(look_at(server, "dns://both.test")).targets) == 2


def test_a_route_is_found_without_sending(server: DnsServer) -> None:
    assert discovery._has_route("127.0.0.1")
    assert not discovery._has_route("fe80::1")


def test_aliases_are_followed(server: DnsServer) -> None:
    server.start("127.0.0.2 real.test\n", options=["--cname=alias.test,other.test,real.test"])
    assert shown(ask(look_at(server, "dns://alias.test"))) == [("alias.test@127.0.0.2", 1)]


def test_a_long_answer_comes_over_tcp(server: DnsServer) -> None:
    server.start("".join(f"127.0.{n // 250}.{n % 250 + 1} many.test\n" for n in range(300)))
    reply = dns.query.udp(dns.message.make_query("many.test", "A"), "127.0.0.1", 2, server.port)
    assert reply.flags & dns.flags.TC
    assert len(ask(look_at(server, "dns://many.test")).targets) == 300


@pytest.mark.parametrize("address", ["dns://nobody.test", "srv://nobody.test", "srv://orders.test"])
def test_a_name_without_records_has_no_instances(server: DnsServer, address: str) -> None:
    server.start(TWO)
    assert ask(look_at(server, address)) == Found((), 5)


def test_what_is_known_stays_while_the_server_is_away(server: DnsServer) -> None:
    server.start(TWO)
    look = look_at(server, "dns://orders.test")
    before = ask(look)
    server.stop()
    for _ in range(2):
        with pytest.raises(DiscoveryError, match=r"orders\.test"):
            ask(look)
    server.start("127.0.0.4 orders.test\n")
    assert len(before.targets) == 2
    assert shown(ask(look)) == [("orders.test@127.0.0.4", 1)]


def test_a_silent_server_is_not_waited_for_without_end(server: DnsServer) -> None:
    server.start(TWO)
    server.hang()
    began = time.monotonic()
    with pytest.raises(DiscoveryError):
        ask(look_at(server, "dns://orders.test"))
    assert time.monotonic() - began < 4 * discovery.QUESTION
    server.go_on()


def test_a_server_that_refuses_is_no_answer(server: DnsServer) -> None:
    server.start(TWO)
    with pytest.raises(DiscoveryError, match="REFUSED"):
        ask(look_at(server, "dns://orders.example"))


def test_the_next_server_is_asked(server: DnsServer) -> None:
    server.start(TWO)
    look = parse("dns://orders.test", servers=["127.0.0.1:1", server.address]).begin()
    assert len(ask(look).targets) == 2


def test_nobody_is_asked_once_the_office_is_lost(server: DnsServer) -> None:
    server.start(TWO)
    over = threading.Event()
    over.set()
    with pytest.raises(DiscoveryError):
        look_at(server, "dns://orders.test")(over)


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 1), (1, 1), (40, 40), (86400, 300)])
def test_the_time_to_live_is_kept_within_bounds(ttl: int, seconds: float) -> None:
    with dns_server(ttl) as server:
        server.start(TWO)
        assert ask(look_at(server, "dns://orders.test")).next_look == seconds


HOSTS = "127.0.0.2 one.test\n127.0.0.3 two.test\n127.0.0.4 three.test\n"


def test_srv_records_give_host_port_and_weight(server: DnsServer) -> None:
    name = "_http._tcp.orders.test"
    options = [srv(name, "one.test", 8001, 0, 30), srv(name, "two.test", 8002, 0, 10)]
    server.start(HOSTS, options=options)
    found = ask(look_at(server, f"srv://{name}/v1;scheme=https"))
    assert set(found.targets) == {
        Target(Origin.parse("https://one.test:8001/v1"), 3, "127.0.0.2"),
        Target(Origin.parse("https://two.test:8002/v1"), 1, "127.0.0.3"),
    }
    assert found.next_look == 7


def test_only_the_first_priority_that_has_instances_is_used(server: DnsServer) -> None:
    options = [
        srv("x.test", "three.test", 8003, 30, 1),
        srv("x.test", "gone.test", 8001, 10, 1),
        srv("x.test", "two.test", 8002, 20, 1),
    ]
    server.start(HOSTS, options=options)
    assert shown(ask(look_at(server, "srv://x.test"))) == [("two.test:8002@127.0.0.3", 1)]


@pytest.mark.parametrize(
    ("raw", "weights"),
    [
        ([0], [1]),
        ([0, 0], [1, 1]),
        ([0, 10, 20], [1, 1, 2]),
        ([60, 60], [1, 1]),
        ([1, 65535], [1, 100]),
        ([65535, 65535], [1, 1]),
        ([300, 100, 7], [100, 33, 2]),
    ],
)
def test_weights_are_small_numbers(raw: list[int], weights: list[int]) -> None:
    assert discovery._weights(raw) == weights


def test_a_record_for_nobody_says_that_there_is_none(server: DnsServer) -> None:
    # What RFC 2782 writes as the host `.`; dnsmasq says it when it is given no host.
    server.start(HOSTS, options=["--srv-host=x.test"])
    assert shown(ask(look_at(server, "srv://x.test"))) == []


class Stubbed:
    """A resolver that answers or fails as told, for what no server can be made to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: dict[tuple[str, str], list[str] | None] = {}
        self.error: type[dns.exception.DNSException] = dns.resolver.NoNameservers
        self.asked: list[str] = []
        monkeypatch.setattr(dns.resolver.Resolver, "resolve", self._resolve)

    def _resolve(self, name: str, kind: str, **_options: object) -> dns.resolver.Answer:
        self.asked.append(kind)
        records = self.records.get((name, kind), [])
        if records is None:
            raise self.error
        query = dns.message.make_query(name, kind)
        (asked,) = query.question
        reply = dns.message.make_response(query)
        assert isinstance(reply, dns.message.QueryMessage)
        if records:
            rrset = reply.find_rrset(
                reply.answer, asked.name, asked.rdclass, asked.rdtype, create=True
            )
            rrset.update(dns.rrset.from_text(asked.name, 60, "IN", kind, *records))  # type: ignore[no-untyped-call]
        return dns.resolver.Answer(asked.name, asked.rdtype, asked.rdclass, reply)


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Stubbed:
    return Stubbed(monkeypatch)


def test_one_family_may_fail(stubbed: Stubbed) -> None:
    look = Addresses("x.test", Origin.parse("http://x.test"), ("127.0.0.1:1",)).begin()
    stubbed.records = {("x.test", "A"): ["10.0.0.1"], ("x.test", "AAAA"): None}
    found = ask(look)
    assert shown(ask(look)) == shown(found)
    assert shown(found) == [("x.test@10.0.0.1", 1)]
    assert found.next_look == 5


def test_who_ignores_one_family_is_asked_for_the_other(stubbed: Stubbed) -> None:
    stubbed.records = {("x.test", "SRV"): ["0 1 80 a.test.", "0 1 80 b.test."]}
    for host in ("a.test.", "b.test."):
        stubbed.records[host, "A"] = ["10.0.0.1"]
        stubbed.records[host, "AAAA"] = None
    stubbed.error = dns.exception.Timeout
    found = ask(Services("x.test", servers=("127.0.0.1:1",)).begin())
    assert shown(found) == [("a.test@10.0.0.1", 1), ("b.test@10.0.0.1", 1)]
    assert stubbed.asked.count("AAAA") == 1


def test_who_does_not_answer_at_all_is_asked_once(stubbed: Stubbed) -> None:
    stubbed.records = {("x.test", "A"): None}
    stubbed.error = dns.exception.Timeout
    with pytest.raises(DiscoveryError):
        ask(Addresses("x.test", Origin.parse("http://x.test"), ("127.0.0.1:1",)).begin())
    assert stubbed.asked == ["A"]


def test_none_of_one_family_and_no_word_of_the_other_is_no_answer(stubbed: Stubbed) -> None:
    look = Addresses("x.test", Origin.parse("http://x.test"), ("127.0.0.1:1",)).begin()
    stubbed.records = {("x.test", "AAAA"): None}
    with pytest.raises(DiscoveryError):
        ask(look)


def test_what_one_host_was_last_time_stays_while_it_fails(stubbed: Stubbed) -> None:
    look = Services("x.test", servers=("127.0.0.1:1",)).begin()
    stubbed.records = {
        ("x.test", "SRV"): ["0 1 80 a.test.", "0 1 80 b.test."],
        ("a.test.", "A"): ["10.0.0.1"],
        ("b.test.", "A"): ["10.0.0.2"],
    }
    both = [("a.test@10.0.0.1", 1), ("b.test@10.0.0.2", 1)]
    assert shown(ask(look)) == both
    stubbed.records["b.test.", "A"] = None
    for _ in range(2):
        assert shown(ask(look)) == both
    stubbed.records["x.test", "SRV"] = ["0 1 80 a.test."]
    assert shown(ask(look)) == both[:1]


@pytest.mark.parametrize("record", ["0 1 0 a.test.", "0 1 80 .", "0 1 80 a\\032b.test."])
def test_an_unusable_record_is_passed_over(stubbed: Stubbed, record: str) -> None:
    stubbed.records = {
        ("x.test", "SRV"): [record, "1 1 80 b.test."],
        ("a.test.", "A"): ["10.0.0.1"],
        ("b.test.", "A"): ["10.0.0.2"],
    }
    look = Services("x.test", servers=("127.0.0.1:1",)).begin()
    assert shown(ask(look)) == [("b.test@10.0.0.2", 1)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.2", ("10.0.0.2", 53)),
        ("10.0.0.2:5353", ("10.0.0.2", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_name_servers(text: str, wanted: tuple[str, int]) -> None:
    server = discovery._name_server(text)
    assert (server.answer_nameserver(), server.answer_port()) == wanted


def test_a_connection_goes_to_the_address_of_either_family() -> None:
    for address in ("127.0.0.2", "::1"):
        with ScriptedUpstream(address) as upstream:
            origin = Origin.parse(f"http://orders.invalid:{upstream.port}")
            with contextlib.closing(connect(origin, 5, "", address)) as connection:
                connection.send(b"GET / HTTP/1.1\r\n\r\n", 5, time.monotonic() + 5, lambda: False)
                assert connection.receive(time.monotonic() + 5, lambda: False)


def test_the_certificate_goes_by_the_name_that_was_asked_for(
    server: DnsServer, tmp_path: Path
) -> None:
    server.start("127.0.0.1 orders.test other.test\n")
    authority = Authority(tmp_path)
    context = authority.server_context("orders.test")
    asked: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    with serve_tls(context, lambda sock: None) as url:
        port = Origin.parse(url).port

        def dial(name: str) -> None:
            (target,) = ask(look_at(server, f"dns://{name}:{port};scheme=https")).targets
            assert target.address == "127.0.0.1"
            connect(target.origin, 5, str(authority.file), target.address).close()

        dial("orders.test")
        with pytest.raises(ConnectFailed, match="certificate verify failed"):
            dial("other.test")
    assert asked == ["orders.test", "other.test"]

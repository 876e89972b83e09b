"""One delivery to a real server: what is sent, what counts as delivered, and what becomes of the
rest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.testing import ScriptedUpstream
from gateway.webhooks.courier import Courier
from gateway.webhooks.queue import Claim
from gateway.webhooks.schedule import Schedule
from gateway.webhooks.subscriptions import read_subscriptions
from tests.support.gunicorn import free_port
from tests.support.messages import response
from tests.support.wsgi import make_settings
from tests.webhooks.conftest import Clock
from tests.webhooks.receiver import OTHER, SECRET, Receiver, Reply, webhooks

Make = Callable[..., Courier]


@pytest.fixture
def courier(partner: Receiver, clock: Clock) -> Iterator[Make]:
    """Makes couriers to the partner, or to another URL."""
    made: list[Courier] = []

    def make(url: str = "", secret: object = SECRET, seconds: float = 10.0) -> Courier:
        said = webhooks(("acme", url or partner.url), secret=secret)
        subscription = read_subscriptions(make_settings(WEBHOOKS=said))[0]["acme"]
        schedule = Schedule((5, 30), chance=lambda: 0.0)
        made.append(Courier(subscription, schedule, seconds=seconds, wall=clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def claimed(tries: int = 1) -> Claim:
    return Claim("d1", "acme", tries, "e1", "order.shipped", b'{"type":"order.shipped"}')


def test_what_is_sent(courier: Make, partner: Receiver, clock: Clock) -> None:
    verdict = courier(partner.url + "/?token=hunter2").deliver(claimed())
    assert (verdict.state, verdict.status, verdict.reason) == ("delivered", 200, "")
    (received,) = partner.received
    assert received.path == "/hooks/?token=hunter2"
    assert received.body == claimed().body
    assert received.signed_by(SECRET)
    assert not received.signed_by(OTHER)
    assert received.headers["webhook-timestamp"] == str(int(clock.now))
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "gatehouse-webhooks"
    assert received.headers["host"] == f"127.0.0.1:{partner.port}"


def test_two_secrets_while_one_is_rotated(courier: Make, partner: Receiver) -> None:
    courier(secret=[OTHER, SECRET]).deliver(claimed())
    (received,) = partner.received
    assert received.signed_by(SECRET)
    assert received.signed_by(OTHER)


def test_each_try_is_signed_anew(courier: Make, partner: Receiver, clock: Clock) -> None:
    partner.replies = [Reply(500)]
    one = courier()
    one.deliver(claimed())
    clock.now += 300
    one.deliver(claimed(2))
    first, second = partner.received
    assert first.id == second.id == "e1"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 300
    assert second.signed_by(SECRET)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(courier: Make, partner: Receiver, status: int) -> None:
    partner.replies = [Reply(status, body=b"")]
    assert courier().deliver(claimed()).state == "delivered"


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 500, 503])
def test_nothing_else_is_and_no_redirect_is_followed(
    courier: Make, partner: Receiver, clock: Clock, status: int
) -> None:
    partner.replies = [Reply(status, {"Location": partner.url + "/elsewhere"})]
    verdict = courier().deliver(claimed())
    assert (verdict.state, verdict.status) == ("pending", status)
    assert verdict.due == int(clock.now) + 5
    assert verdict.reason == f"it answers {status}"
    assert len(partner.received) == 1


def test_gone_ends_it_at_once(courier: Make, partner: Receiver) -> None:
    partner.replies = [Reply(410)]
    verdict = courier().deliver(claimed())
    assert (verdict.state, verdict.status) == ("failed", 410)


def test_after_the_last_try_it_has_failed(
    courier: Make, partner: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    partner.always = Reply(500, body=b"hunter2")
    one = courier(partner.url + "/hunter2")
    assert one.deliver(claimed(2)).due == int(clock.now) + 30
    assert one.deliver(claimed(3)).state == "failed"
    warned, given_up = (record.getMessage() for record in caplog.records)
    assert warned == "webhooks: acme takes no delivery: it answers 500"
    assert given_up == (
        "webhooks: acme is not told of order.shipped e1: given up after 3 tries, delivery d1:"
        " it answers 500"
    )


def test_failing_is_told_once_and_its_end_too(
    courier: Make, partner: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    partner.replies = [Reply(500), Reply(502)]
    one = courier()
    failing = []
    for _ in range(4):
        one.deliver(claimed())
        failing.append(one.failing)
    assert failing == [True, True, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        "webhooks: acme takes no delivery: it answers 500",
        "webhooks: acme takes deliveries again",
    ]


@pytest.mark.parametrize(
    ("status", "value", "delay", "hold"),
    [
        (503, "90", 90, 90),
        (429, "90", 90, 90),
        (429, "2", 5, 2),
        (503, "Mon, 21 Sep 2026 14:14:20 GMT", 60, 60),
        (503, "99999999999999999999", 21_600, 21_600),
        (503, "soon", 5, 0),
        (500, "90", 90, 0),
    ],
)
def test_a_partner_may_ask_for_time(
    courier: Make, partner: Receiver, clock: Clock, status: int, value: str, delay: int, hold: int
) -> None:
    partner.replies = [Reply(status, {"Retry-After": value})]
    one = courier()
    assert one.deliver(claimed()).due == int(clock.now) + delay
    assert one.hold == (clock.now + hold if hold else 0)


def test_nobody_listens(courier: Make, clock: Clock) -> None:
    port = free_port()
    verdict = courier(f"http://127.0.0.1:{port}/hunter2").deliver(claimed())
    assert (verdict.state, verdict.status, verdict.due) == ("pending", None, int(clock.now) + 5)
    assert "connection_refused" in verdict.reason
    assert "hunter2" not in verdict.reason


def test_a_silent_partner_is_waited_for_a_time(courier: Make, partner: Receiver) -> None:
    over = threading.Event()
    partner.always = Reply(wait=over)
    began = time.monotonic()
    verdict = courier(seconds=0.2).deliver(claimed())
    assert verdict.state == "pending"
    assert time.monotonic() - began < 5
    over.set()


def test_a_long_or_broken_answer_is_one(
    courier: Make, partner: Receiver, upstream: ScriptedUpstream
) -> None:
    partner.replies = [
        Reply(200, body=b"x" * 3_000_000),
        Reply(200, {"Content-Length": "50"}, b"less"),
    ]
    one = courier()
    assert one.deliver(claimed()).state == "delivered"
    assert one.deliver(claimed()).state == "delivered"
    assert one.deliver(claimed()).state == "delivered"
    upstream.respond(response(b"200 OK", body=b"ok"))
    other = courier(upstream.url)
    for _ in range(3):
        assert other.deliver(claimed()).state == "delivered"
    assert len({received.connection for received in upstream.requests}) == 1


def test_a_fault_of_ours_is_a_failure_and_logged(
    courier: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr("gateway.webhooks.courier.signed_fields", broken)
    verdict = courier().deliver(claimed())
    assert (verdict.state, verdict.reason, verdict.due) == ("pending", "KeyError", clock.now + 5)
    assert "webhooks: delivery d1" in caplog.text

"""Retry: what is tried again, when, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import (
    NotSent,
    Refusal,
    Retry,
    UpstreamError,
)
from gateway.errors import (
    BodyFailed,
    ClientGone,
    ConnectFailed,
    ConnectTimeout,
    HeadFailed,
    HeadTimeout,
    NoTarget,
    PoolTimeout,
    ProtocolViolation,
    SendFailed,
    deadline_exceeded,
)
from tests.policies.retrying import Time, Upstream, asking, failing, retrying
from tests.support.outline import answer, make_context, outline

UNSENT = [ConnectFailed, ConnectTimeout, PoolTimeout]
MAYBE_DONE = [SendFailed, HeadFailed, HeadTimeout, ProtocolViolation, BodyFailed]
NOT_IDEMPOTENT = ["POST", "PATCH"]
IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]


@pytest.mark.parametrize("method", [*IDEMPOTENT, *NOT_IDEMPOTENT])
@pytest.mark.parametrize("error", UNSENT)
def test_what_nobody_got_is_sent_again_whatever_the_method(
    error: type[UpstreamError], method: str
) -> None:
    upstream = Upstream([error(), answer()])
    assert retrying(upstream)(asking(method)).status == 200
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("error", MAYBE_DONE)
def test_idempotent_methods_are_repeated(error: type[UpstreamError], method: str) -> None:
    upstream = Upstream([error(), answer()])
    assert retrying(upstream)(asking(method)).status == 200
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("method", NOT_IDEMPOTENT)
@pytest.mark.parametrize("error", MAYBE_DONE)
def test_other_methods_are_not(error: type[UpstreamError], method: str) -> None:
    upstream = Upstream([error(), answer()])
    with pytest.raises(error):
        retrying(upstream)(asking(method))
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("PUT", 2), ("POST", 1), ("PATCH", 1)])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_answers_that_say_unavailable_follow_the_same_rule(
    status: int, method: str, asked: int
) -> None:
    first, body = failing(status)
    upstream = Upstream([first, answer()])
    assert retrying(upstream)(asking(method)).status == (200 if asked == 2 else status)
    assert len(upstream.asked) == asked
    assert body.closed is (asked == 2), "a dropped answer gives its connection back"


@pytest.mark.parametrize("status", [200, 301, 404, 409, 429, 500, 501])
def test_any_other_answer_is_an_answer(status: int) -> None:
    upstream = Upstream([answer(status)])
    assert retrying(upstream)(asking()).status == status
    assert len(upstream.asked) == 1


def test_methods_and_statuses_can_be_chosen() -> None:
    upstream = Upstream([answer(429), answer()])
    assert retrying(upstream, statuses=[429], methods=["POST"])(asking("POST")).status == 200
    upstream = Upstream([answer(503)])
    assert retrying(upstream, statuses=[429])(asking()).status == 503
    upstream = Upstream([HeadFailed()])
    with pytest.raises(HeadFailed):
        retrying(upstream, methods=["GET"])(asking("PUT"))


@pytest.mark.parametrize(
    ("option", "key", "asked"), [(True, "order-7", 2), (True, "", 1), (False, "order-7", 1)]
)
def test_a_key_makes_a_post_repeatable_where_the_backend_keeps_to_it(
    option: bool, key: str, asked: int
) -> None:
    upstream = Upstream([HeadFailed()])
    with pytest.raises(HeadFailed):
        retrying(upstream, idempotency_key=option)(
            asking("POST", headers=[("idempotency-key", key)])
        )
    assert len(upstream.asked) == asked


@pytest.mark.parametrize(
    "error",
    [
        NotSent("circuit_open"),
        deadline_exceeded(),
        NoTarget(),
        Refusal("The request body is malformed."),
        ClientGone(),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_room_decided_stands(error: Exception) -> None:
    upstream = Upstream([error])
    with pytest.raises(type(error)):
        retrying(upstream)(asking())
    assert len(upstream.asked) == 1


def test_each_try_knows_which_targets_were_tried() -> None:
    upstream = Upstream([ConnectFailed()])
    with pytest.raises(ConnectFailed):
        retrying(upstream, attempts=4)(asking())
    assert len(upstream.asked) == 4
    assert upstream.asked[3].tried == ["target-1", "target-2", "target-3", "target-4"]


def test_requests_do_not_share_what_they_tried() -> None:
    upstream = Upstream([answer()])
    handler = retrying(upstream)
    handler(asking())
    handler(asking())
    assert [len(request.tried or ()) for request in upstream.asked] == [1, 1]


def test_the_last_outcome_is_the_one_that_counts() -> None:
    first, _ = failing()
    with pytest.raises(HeadTimeout):
        retrying(Upstream([first, HeadTimeout()]))(asking())
    last, body = failing(504)
    assert retrying(Upstream([HeadTimeout(), last]))(asking()).status == 504
    assert not body.closed


def test_an_error_after_a_try_that_was_sent_is_not_safe_to_repeat() -> None:
    with pytest.raises(ConnectFailed) as caught:
        retrying(Upstream([HeadFailed(), ConnectFailed()]))(asking())
    assert not caught.value.retry_safe
    with pytest.raises(ConnectFailed) as caught:
        retrying(Upstream([ConnectFailed()]))(asking())
    assert caught.value.retry_safe


def test_a_body_is_sent_whole_each_time() -> None:
    upstream = Upstream([HeadFailed(), HeadFailed(), answer()])
    retrying(upstream, attempts=3)(asking("PUT", body=b"all of it"))
    assert upstream.bodies == [b"all of it"] * 3


def test_a_body_too_large_to_be_kept_is_sent_once() -> None:
    upstream = Upstream([HeadFailed(), answer()])
    with pytest.raises(HeadFailed):
        retrying(upstream, replay_bytes=8)(asking("PUT", body=b"all of it"))
    assert upstream.bodies == [b"all of it"]
    first, body = failing()
    upstream = Upstream([first, answer()])
    assert retrying(upstream, replay_bytes=8)(asking("PUT", body=b"all of it")).status == 503
    assert not body.closed


def test_an_outage_gets_a_fifth_more_requests_and_each_worker_counts_its_own() -> None:
    time = Time()
    upstream = Upstream([ConnectFailed()])
    handler = retrying(upstream, time)
    for _ in range(1000):
        time.now += 0.01
        with pytest.raises(ConnectFailed):
            handler(replace(asking(), deadline=time.now + 5))
    assert 1150 <= len(upstream.asked) <= 1210


def test_services_have_budgets_of_their_own() -> None:
    policy = Retry(sleep=lambda _seconds: None, backoff=(0, 0), budget_minimum=1, budget_ratio=0)
    upstream = Upstream([ConnectFailed()])
    for service in ("things", "others"):
        handler = policy.wrap(upstream, make_context(service))
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                handler(outline())
    assert len(upstream.asked) == 6


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"attempts": 1}, "attempts=1 must be from 2 to 10"),
        ({"attempts": 11}, "attempts=11 must be from 2 to 10"),
        ({"methods": ["get"]}, "methods must be a set of names in capitals"),
        ({"methods": "GET"}, "methods must be a set of names in capitals"),
        ({"statuses": [200]}, "statuses must be from 400 to 599"),
        ({"backoff": (0.5, 0.1)}, "backoff=(0.5, 0.1) must be the first and the most, from 0"),
        ({"backoff": (-1, 1)}, "backoff=(-1, 1) must be the first and the most, from 0"),
        ({"try_seconds": 0}, "try_seconds=0 must be above 0"),
        ({"replay_bytes": -1}, "replay_bytes=-1 is below 0"),
        ({"budget_ratio": 1.1}, "budget_ratio=1.1 must be from 0 to 1"),
        ({"budget_minimum": -1}, "budget_minimum=-1 is below 0"),
        ({"budget_ratio": 0, "budget_minimum": 0}, "a budget of nothing never retries"),
    ],
)
def test_options_that_make_no_sense_are_faults(options: dict[str, object], fault: str) -> None:
    assert Retry(**options).faults(make_context()) == [fault]  # type: ignore[arg-type]


def test_all_faults_are_found_together_and_the_defaults_have_none() -> None:
    assert len(Retry(attempts=0, statuses=[1], replay_bytes=-1).faults(make_context())) == 3
    assert Retry().faults(make_context()) == []

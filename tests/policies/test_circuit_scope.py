"""Circuits and what is around them: bodies that break, instances, the store that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from gateway import (
    CircuitBreaker,
    NotSent,
    RoundRobin,
    Service,
    UpstreamRequest,
    UpstreamResponse,
    public,
)
from gateway.errors import (
    BodyFailed,
    ClientGone,
    ConnectFailed,
    NoTarget,
    UpstreamError,
)
from gateway.state import FallbackState, MemoryState
from gateway.state.sweeping import sweep
from gateway.testing_stub import StubTransport
from tests.policies.circuits import (
    Body,
    NoStore,
    Setup,
    kept_back,
    opened,
    usual,
)
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import call, make_app


def streaming(*pieces: bytes, error: BaseException | None = None) -> UpstreamResponse:
    """A response whose body comes after its head."""
    return UpstreamResponse(200, "", [], Body(list(pieces), error), target="things.internal")


def read(result: object) -> None:
    """Take the whole body in, or what comes of it."""
    assert isinstance(result, UpstreamResponse)
    try:
        list(result.body)
    except (BodyFailed, ClientGone):
        pass
    finally:
        result.body.close()


def test_bodies_that_break_are_failures(setup: Setup) -> None:
    for _ in range(5):
        read(setup.send(streaming(b"x", error=BodyFailed())))
    assert setup.is_open


def test_bodies_that_end_well_are_not(setup: Setup) -> None:
    for _ in range(3):
        setup.fail(4)
        read(setup.send(streaming(b"x")))
    assert not setup.is_open


def test_a_client_that_leaves_inside_a_body(setup: Setup) -> None:
    setup.fail(4)
    for _ in range(9):
        read(setup.send(streaming(b"x", error=ClientGone())))
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_a_body_nobody_reads_to_its_end_was_good_so_far(setup: Setup) -> None:
    setup.fail(4)
    result = setup.send(streaming(b"x"))
    assert isinstance(result, UpstreamResponse)
    result.body.close()
    setup.fail(4)
    assert not setup.is_open


def test_a_stream_that_goes_on_for_long_closes_it_with_its_head() -> None:
    setup = opened()
    setup.now += 30
    stream = setup.send(streaming(b"x", error=BodyFailed()))
    assert not setup.is_open
    read(stream)
    assert setup.value is not None
    assert setup.value["failures"] == 1


# -- instances -------------------------------------------------------------------------------


def per_target(**options: float) -> Setup:
    """A breaker of instances."""
    return Setup(usual(scope="target", **options))


def chosen(request: UpstreamRequest, *names: str) -> str:
    """What a pool would choose: the first that is admitted."""
    assert request.admit is not None
    for name in names:
        if request.admit(name):
            return name
    raise NoTarget


def test_one_instance_that_fails_and_others_that_go_on() -> None:
    setup = per_target()
    setup.outcome = lambda request: answer(
        503 if (name := chosen(request, "bad", "good")) == "bad" else 200, target=name
    )
    results = [setup.send() for _ in range(20)]
    statuses = [result.status for result in results if isinstance(result, UpstreamResponse)]
    assert statuses == [503] * 5 + [200] * 15
    setup.now += 30
    first, second = setup.send(), setup.send()
    assert [getattr(first, "status", 0), getattr(second, "status", 0)] == [503, 200]


def test_errors_belong_to_the_instance_they_came_from() -> None:
    setup = per_target()

    def refused(request: UpstreamRequest) -> UpstreamError | UpstreamResponse:
        name = chosen(request, "bad", "good")
        error = ConnectFailed()
        error.target = name
        return error if name == "bad" else answer(target=name)

    setup.outcome = refused
    results = [setup.send() for _ in range(7)]
    assert [isinstance(result, ConnectFailed) for result in results] == [True] * 5 + [False] * 2


def test_no_instance_left() -> None:
    setup = per_target()
    setup.outcome = lambda request: answer(503, target=chosen(request, "a"))
    for _ in range(5):
        setup.send()
    setup.now += 10
    setup.outcome = lambda request: answer(503, target=chosen(request, "b"))
    for _ in range(5):
        setup.send()
    setup.outcome = lambda request: answer(target=chosen(request, "a", "b"))
    result = setup.send()
    assert kept_back(result)
    assert isinstance(result, NotSent)
    assert result.retry_after == 20.0


def test_no_instance_at_all_is_said_as_it_is() -> None:
    setup = per_target()
    result = NoTarget()
    assert setup.send(result) is result


def test_admission_of_others_comes_first_and_a_probe_not_used_is_given_back() -> None:
    setup = per_target()
    setup.outcome = lambda request: answer(503, target=chosen(request, "a"))
    for _ in range(5):
        setup.send()
    setup.now += 30
    seen: list[str] = []

    def admitted(name: str) -> bool:
        seen.append(name)
        return name != "kept"

    def upstream(request: UpstreamRequest) -> UpstreamResponse:
        assert request.admit is not None
        assert not request.admit("kept")
        assert request.admit("a")  # the probe
        assert request.admit("a")
        return answer(target="b") if request.admit("b") else answer(503)

    context = make_context(state=setup.shared)
    handler = setup.breaker.wrap(upstream, context)
    request = outline()
    object.__setattr__(request, "admit", admitted)
    assert handler(request).status == 200
    assert seen == ["kept", "a", "a", "b"]
    setup.outcome = lambda request: answer(target=chosen(request, "a"))
    assert isinstance(setup.send(), UpstreamResponse), "the probe was not given back"


def test_instances_that_are_gone_are_not_remembered() -> None:
    setup = per_target()
    breaker = setup.first.beats[0].__self__  # type: ignore[attr-defined]
    setup.outcome = lambda request: answer(target=chosen(request, "a"))
    setup.send()
    assert len(breaker._circuits) == 2
    for _ in range(14_402):
        setup.first.beat()
    assert len(breaker._circuits) == 1
    assert isinstance(setup.send(), UpstreamResponse)


# -- the store -------------------------------------------------------------------------------


def test_without_the_store_each_worker_goes_by_itself() -> None:
    store = NoStore(lambda: setup.now)
    local = MemoryState()
    setup = Setup(state=FallbackState(store, local, monotonic=lambda: setup.now))
    store.lost = True
    setup.fail(5)
    assert kept_back(setup.send(answer()))
    store.lost = False
    setup.now += 2
    setup.shared.refresh()
    assert isinstance(setup.send(answer()), UpstreamResponse)
    setup.fail(5)
    assert kept_back(setup.send(answer()))
    assert store.get("circuit/things") is not None


class Distant(MemoryState):
    """A store whose changes are seen late elsewhere."""

    lag = 0.5


def test_where_successes_show_late_a_row_of_many_workers_has_to_last() -> None:
    setup = Setup(state=Distant(lambda: setup.now))
    workers = [setup.worker() for _ in range(12)]
    for worker in workers[:6]:
        setup.fail(1, worker)
    assert not setup.is_open
    setup.now += 0.5
    setup.fail(1, workers[6])
    assert setup.is_open


def test_a_worker_that_sees_a_whole_row_by_itself_does_not_wait() -> None:
    setup = Setup(state=Distant(lambda: setup.now))
    setup.fail(4)
    assert not setup.is_open
    setup.fail()
    assert setup.is_open


def test_what_nobody_needs_is_swept_away() -> None:
    setup = Setup(CircuitBreaker(draw=lambda: 0.0))
    setup.fail(5)
    setup.now += 30 + 3599
    sweep(setup.shared, setup.now)
    assert setup.is_open
    setup.now += 2
    sweep(setup.shared, setup.now)
    assert setup.shared.scan("") == {}


# -- in an application -----------------------------------------------------------------------


@contextmanager
def application(*instances: str, **options: Any) -> Iterator[tuple[Flask, StubTransport]]:
    """A gateway in front of instances; those whose name is bad answer 503."""

    def backend(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        return 503 if "//bad" in url else 200, {}, b""

    stub = StubTransport(backend)
    service = Service(
        "things",
        __name__,
        url_prefix="/things",
        upstream=",".join(f"http://{name}.internal" for name in instances),
        session=stub.session(),
        load_balancing=RoundRobin(),
        ejection=None,
        policies=[CircuitBreaker(**options)],
    )
    app = make_app(public(service))
    yield app, stub
    app.extensions["gateway"].pulse.end()


def test_client_is_told_when_to_come_again() -> None:
    with application("bad") as (app, stub):
        assert [call(app, "/things/7").status for _ in range(5)] == [503] * 5
        refused = call(app, "/things/7")
        assert (refused.status, refused.code) == (503, "circuit_open")
        assert 29 <= int(refused.header("Retry-After")[0]) <= 33
        assert "bad" not in refused.body.decode()
        assert len(stub.requests) == 5


def test_a_pool_goes_on_with_the_other_instances() -> None:
    with application("bad", "good", scope="target") as (app, stub):
        statuses = [call(app, "/things/7").status for _ in range(40)]
        assert statuses.count(503) == 5
        assert statuses[-20:] == [200] * 20
        assert len(stub.requests) == 40


def test_a_pool_without_any_left() -> None:
    with application("bad", "bad2", scope="target") as (app, stub):
        codes = [call(app, "/things/7") for _ in range(20)]
        assert len(stub.requests) == 10
        assert {answer.code for answer in codes[10:]} == {"circuit_open"}

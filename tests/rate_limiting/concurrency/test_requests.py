"""Concurrency limits of requests: what is limited and answered, and how every slot comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask, Response, abort
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ConfigurationError, Handler, Service, limiter, public, require
from gateway.admission import Admission
from gateway.cli.services import print_services
from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.observability.access_log import AccessLog
from gateway.rate_limiting.concurrency.deciding import Concurrency
from gateway.rate_limiting.concurrency.declaring import DeclaredConcurrency
from tests.support.wsgi import bearer, call, make_app, make_environ, open_service, run, stubbed
from tests.test_capacity import ENDINGS


def gates(app: Flask) -> list[Concurrency]:
    """What decides the application's concurrency limits, if something does."""
    (hook,) = app.before_request_funcs[None]
    admission = getattr(hook, "__self__", None)
    assert isinstance(admission, Admission)
    owners = [getattr(step, "__self__", None) for step in admission.steps]
    return [owner for owner in owners if isinstance(owner, Concurrency)]


def gate(app: Flask) -> Concurrency:
    """What decides the application's concurrency limits."""
    (found,) = gates(app)
    return found


def held(app: Flask) -> dict[str, list[str]]:
    """The slots that are taken."""
    return gate(app)._held.everything()


def begin(app: Flask, path: str = "/things/7", **environ: Any) -> Any:
    """Serve a request as far as its response's head."""
    application: Any = app
    return application(make_environ(path, **environ), lambda *_: None)


def limited(limit: int = 1, **options: Any) -> Service:
    """A service that everybody may use, so many at a time."""
    service, _ = open_service()
    limiter.concurrency(limit, **options)(service)
    return service


def test_refused_while_it_is_full() -> None:
    app = make_app(limited(2))
    first, second = begin(app), begin(app)
    refused = call(app, "/things/7")
    assert (refused.status, refused.code) == (429, "concurrency_limited")
    assert refused.header("Retry-After") == ["1"]
    assert refused.header("Content-Type") == ["application/problem+json"]
    assert "2 requests" in refused.json["detail"]
    first.close()
    assert call(app, "/things/7").status == 200
    second.close()
    assert held(app) == {}


def test_held_until_the_response_is_closed() -> None:
    app = make_app(limited())
    response = begin(app)
    assert b"".join(response) == b"ok"
    assert call(app, "/things/7").status == 429
    response.close()
    assert call(app, "/things/7").status == 200


def test_each_identity_else_address() -> None:
    service, _ = open_service()
    limiter.concurrency(1, per="identity")(service)
    app = make_app(service)
    responses = [
        begin(app),
        begin(app, REMOTE_ADDR="192.0.2.2"),
        begin(app, headers=[bearer(sub="ada")]),
        begin(app, headers=[bearer(sub="bob")]),
    ]
    assert call(app, "/things/7").status == 429
    assert call(app, "/things/7", headers=[bearer(sub="ada")], REMOTE_ADDR="::1").status == 429
    assert call(app, "/things/7", REMOTE_ADDR="192.0.2.3").status == 200
    for response in responses:
        response.close()
    assert held(app) == {}


def test_views_and_services_stack() -> None:
    service = limited(2)

    @service.get("/view")
    @limiter.concurrency(1)
    def view() -> str:
        return "ok"

    app = make_app(service)
    inside = begin(app, "/things/view")
    assert call(app, "/things/view").status == 429
    assert call(app, "/things/7").status == 200  # and the refused one took nothing
    other = begin(app)
    assert call(app, "/things/7").status == 429
    for response in (inside, other):
        response.close()
    assert held(app) == {}


def test_a_plan_counts_over_all_services() -> None:
    one, _ = open_service()
    other, _ = open_service(name="others", prefix="/others")
    app = make_app(one, other, PLANS={"free": {"concurrency": 2}}, DEFAULT_PLAN="free")
    ada = [bearer(sub="ada")]
    inside = [begin(app, headers=ada), begin(app, "/others/7", headers=ada)]
    for path in ("/things/7", "/others/7"):
        assert call(app, path, headers=ada).code == "concurrency_limited"
        assert call(app, path, headers=[bearer(sub="bob")]).status == 200
        assert call(app, path).status == 200
    assert call(app, "/nothing/here", headers=ada).status == 404
    for response in inside:
        response.close()
    assert held(app) == {}


def test_who_may_not_is_told_so_and_takes_no_slot() -> None:
    service, _ = stubbed()
    limiter.concurrency(1)(service)
    app = make_app(require("thing:read")(service))
    inside = begin(app, headers=[bearer("thing:read")])
    assert call(app, "/things/7").status == 401
    assert call(app, "/things/7", headers=[bearer()]).status == 403
    assert call(app, "/things/7", headers=[bearer("thing:read")]).status == 429
    assert len(held(app)) == 1
    inside.close()


def test_exempt_views_and_our_own() -> None:
    service = limited(1)

    @service.get("/free")
    @limiter.exempt
    def free() -> str:
        return "ok"

    app = make_app(service, PLANS={"free": {"concurrency": 1}}, DEFAULT_PLAN="free")
    ada = [bearer(sub="ada")]
    inside = begin(app, headers=ada)
    assert call(app, "/things/7", headers=ada).status == 429
    assert call(app, "/things/free", headers=ada).status == 200
    assert call(app, "/healthz", headers=ada).status == 200
    inside.close()


@pytest.mark.parametrize("entry", ["192.0.2.0/24", "192.0.2.1", "user:ada"])
def test_exempt_callers(entry: str) -> None:
    app = make_app(limited(1), RATE_LIMIT_EXEMPT=entry)
    ada = [bearer(sub="ada")]
    inside = [begin(app, headers=ada) for _ in range(3)]
    assert held(app) == {}
    assert call(app, "/things/7", headers=ada).status == 200
    for response in inside:
        response.close()


@pytest.mark.parametrize("everything", [False, True])
def test_on_trial(everything: bool) -> None:
    app = make_app(limited(1, dry_run=not everything), RATE_LIMIT_DRY_RUN=everything)
    lines: list[bytes] = []
    app.wsgi_app._log = AccessLog(lines.append)  # type: ignore[attr-defined]
    inside = begin(app)
    assert call(app, "/things/7").status == 200
    assert orjson.loads(lines[-1])["dry_run"] == ["things-concurrency"]
    inside.close()
    assert orjson.loads(lines[-1])["dry_run"] == []
    assert held(app) == {}


class Playing:
    """The end of a chain: answers as the last one told to."""

    ending = "ok"

    def __call__(self, following: Handler) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            return ENDINGS[self.ending]()

        return handle


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ENDINGS)),
            st.sampled_from(["all", "some", "none"]),
            st.integers(1, 2),
        ),
        max_size=12,
    )
)
def test_no_ending_keeps_a_slot(requests: list[tuple[str, str, int]]) -> None:
    playing = Playing()
    service, _ = open_service(policies=[playing])
    limiter.concurrency(1)(service)
    limiter.concurrency(1, per="identity")(service)
    app = make_app(service)
    for playing.ending, read, closings in requests:
        response = begin(app)
        with contextlib.suppress(ConnectionResetError, RuntimeError):
            for _piece in response if read == "all" else ():
                pass
            if read == "some":
                next(iter(response), b"")
        for _ in range(closings):
            with contextlib.suppress(OSError):
                response.close()
        assert held(app) == {}


def _raise(error: BaseException) -> Response:
    raise error


def _streamed() -> Response:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("broken off")

    return Response(pieces())


VIEWS: dict[str, Callable[[], Any]] = {
    "a bug": lambda: _raise(RuntimeError("bug")),
    "an abort": lambda: abort(418),
    "a refusal of the view": lambda: abort(404),
    "no response": lambda: None,
    "the end of the worker": lambda: _raise(SystemExit()),
    "a stream that breaks": _streamed,
}


@pytest.mark.parametrize("ending", VIEWS)
def test_views_that_end_in_all_ways(ending: str) -> None:
    service = limited(1)
    service.add_url_rule("/view", "view", VIEWS[ending])
    app = make_app(service)
    for _ in range(3):
        with contextlib.suppress(RuntimeError, SystemExit):
            assert call(app, "/things/view").status != 429
        assert held(app) == {}


def test_a_hook_that_refuses_after_the_slot_was_taken() -> None:
    service = limited(1)
    service.before_request(lambda: abort(403))
    app = make_app(service)
    for _ in range(2):
        assert call(app, "/things/7").status == 403
    assert held(app) == {}


def test_a_slot_whose_taking_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(limited(1))
    store = gate(app)._store
    take = store.take

    def interrupted(*arguments: Any) -> Any:
        take(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(app, "/things/7")
    assert held(app) == {}


def test_a_slot_that_cannot_be_given_back_spoils_no_response(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(limited(1))

    def broken(*_arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(gate(app)._store, "free", broken)
    for _ in range(2):
        assert call(app, "/things/7").status == 200
    assert "could not be given back yet: OSError" in caplog.text


def test_over_the_embedded_store(tmp_path: Path) -> None:
    one = make_app(limited(1), STATE_URL=f"lmdb://{tmp_path}")
    other = make_app(limited(1), STATE_URL=f"lmdb://{tmp_path}")
    inside = begin(one)
    assert call(other, "/things/7").status == 429
    inside.close()
    assert call(other, "/things/7").status == 200
    one.extensions["gateway"].store.close()


def test_the_store_of_a_closed_limit_is_away(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    app = make_app(limited(1, on_failure="closed"), STATE_URL=f"lmdb://{tmp_path / 'state'}")
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_text("in the way")
    refused = call(app, "/things/7")
    assert (refused.status, refused.code) == (503, "limit_store_unavailable")
    assert refused.header("Retry-After") == ["1"]


def test_nothing_limited_means_no_step() -> None:
    service, _ = open_service()
    assert gates(make_app(service)) == []


def test_a_refused_request_is_counted_by_limits() -> None:
    service = limited(1)
    limiter.limit("3/minute")(service)
    app = make_app(service)
    inside = begin(app)
    codes = [call(app, "/things/7").code for _ in range(3)]
    assert codes == ["concurrency_limited", "concurrency_limited", "rate_limited"]
    inside.close()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"limit": 0}, "concurrency 0 must be 1 or more"),
        ({"limit": True}, "concurrency True is not a number"),
        ({"limit": "5"}, "concurrency '5' is not a number"),
        ({"limit": 5, "per": "user"}, "per='user' must be one of"),
        ({"limit": 5, "on_failure": "never"}, "on_failure='never' must be one of"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], fault: str) -> None:
    with pytest.raises((ValueError, TypeError), match=fault.replace("'", ".")):
        DeclaredConcurrency(**options)


def test_two_of_a_kind_are_a_fault() -> None:
    service = limited(2)
    limiter.concurrency(3)(service)
    with pytest.raises(ConfigurationError, match="'things': two concurrency limits of the same"):
        make_app(service)


def test_two_requests_of_one_connection() -> None:
    app = make_app(limited(1))
    for _ in range(3):
        assert run(app, make_environ("/things/7")).status == 200


def test_services_without_limits_of_their_own_beside_limited_ones() -> None:
    other = public(Service("others", __name__, url_prefix="/others", upstream=""))
    app = make_app(limited(1), other)
    inside = begin(app)
    assert call(app, "/others/7").status == 503  # no instance
    assert call(app, "/things/7").status == 429
    inside.close()


def test_the_list_of_services_tells(capsys: pytest.CaptureFixture[str]) -> None:
    service = limited(50)
    limiter.concurrency(5, per="identity")(service)
    limiter.limit("9/minute")(service)
    app = make_app(service)
    with app.app_context():
        print_services(app)
    shown = capsys.readouterr().out
    assert "limits things 9/60s, things 50 at once, things 5 at once per identity" in shown

"""What operators do over HTTP: who may, what is understood, and what is there at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask import Flask

from gateway import ConfigurationError, public
from gateway.caching.entry import Passed
from gateway.caching.opening import open_responses
from gateway.caching.store import StoreFault
from gateway.caching.tiers import TieredResponses
from gateway.observability.access_log import AccessLog
from tests.support.wsgi import Answer, bearer, call, make_app, open_service, stubbed, token

PURGE = "/admin/cache/purge"
JSON = [("Content-Type", "application/json")]


@pytest.fixture
def app() -> Flask:
    """A gateway with routes for operators."""
    return make_app(open_service()[0], ADMIN_PREFIX="/admin")


def post(app: Flask, body: Any, *fields: tuple[str, str], **changes: Any) -> Answer:
    """Purge as somebody who may; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    told = {"CONTENT_TYPE": "application/json", **changes}
    return call(app, PURGE, "POST", [bearer("cache:purge"), *fields], data, **told)


def kept_by(app: Flask) -> TieredResponses:
    """Where its answers are."""
    gateway = app.extensions["gateway"]
    return open_responses(gateway.settings, gateway.commons)


@pytest.fixture
def kept(app: Flask) -> Callable[[], int]:
    """Keeps three answers; tells how many there are."""
    responses = kept_by(app)
    for number, url in enumerate(["/things/1", "/things/1?a=1", "/things/2"]):
        key, ticket = bytes([number]) * 16, responses.ticket(url)
        assert responses.put(key, Passed(9e9), url=url, tags=[f"t{number}"], ticket=ticket)
    return lambda: responses.usage()[0]


@pytest.mark.parametrize(
    ("body", "purged"),
    [
        ({"url": "https://any.example/things/1?a=1"}, 1),
        ({"path": "/things/1"}, 2),
        ({"prefix": "/things/"}, 3),
        ({"tag": "t2"}, 1),
        ({"all": True}, 3),
        ({"tag": "unknown"}, 0),
    ],
)
def test_a_purge_drops_what_it_names(
    app: Flask, kept: Callable[[], int], body: dict[str, Any], purged: int
) -> None:
    done = post(app, body)
    assert (done.status, done.json) == (200, {"purged": purged})
    assert done.header("Cache-Control") == ["no-store"]
    assert kept() == 3 - purged


def test_how_much_is_kept(app: Flask, kept: Callable[[], int]) -> None:
    told = call(app, "/admin/cache", headers=[bearer("cache:read")])
    assert told.status == 200
    assert told.json["entries"] == kept() == 3
    assert told.json["bytes"] > 0


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is missing."),
        (b"{", "The body must be a JSON object"),
        (b"\xff", "The body must be a JSON object"),
        (b"[" * 60_000, "The body must be a JSON object"),
        (b'{"tag": "a", "tag": "b"}', "The body must be a JSON object in which no member is twice"),
        ([], "The body must be a JSON object"),
        ({}, "The body must have one member"),
        ({"tag": "a", "all": True}, "The body must have one member"),
        ({"host": "a"}, "The body must have one member"),
        ({"all": 1}, "all must be true"),
        ({"all": False}, "all must be true"),
        ({"tag": 7}, "tag must be text"),
        ({"url": None}, "url must be text"),
        ({"url": "things"}, "url must be a URL, or a path"),
        ({"tag": "t" * 65_536}, "The body is longer than 65536 bytes"),
    ],
)
def test_what_is_not_understood_is_refused(
    app: Flask, kept: Callable[[], int], body: Any, detail: str
) -> None:
    refused = post(app, body)
    assert (refused.status, refused.code) == (400, "purge_unclear")
    assert refused.json["detail"].startswith(detail)
    assert refused.header("Content-Type") == ["application/problem+json"]
    assert kept() == 3


def test_what_a_form_can_send_is_refused(app: Flask) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert post(app, {"all": True}, CONTENT_TYPE=kind).code == "purge_unclear"
    assert post(app, {"all": True}, CONTENT_TYPE="application/json; charset=utf-8").status == 200


def test_a_page_of_another_site_cannot_use_a_cookie(app: Flask) -> None:
    cookie = ("Cookie", f"access_token={token(permissions=['cache:purge'])}")
    data = b'{"all": true}'
    type_of = {"CONTENT_TYPE": "application/json"}
    answers = {
        site: call(app, PURGE, "POST", [cookie, ("Sec-Fetch-Site", site)], data, **type_of)
        for site in ("cross-site", "same-origin")
    }
    assert {site: one.status for site, one in answers.items()} == {
        "cross-site": 403,
        "same-origin": 200,
    }


@pytest.mark.parametrize(
    ("method", "path", "permissions", "status"),
    [
        ("POST", PURGE, None, 401),
        ("GET", "/admin/cache", None, 401),
        ("POST", PURGE, ["cache:read", "order:*"], 403),
        ("GET", "/admin/cache", ["cache:purge"], 403),
        ("POST", PURGE, ["cache:*"], 200),
        ("HEAD", "/admin/cache", ["cache:*"], 200),
        ("GET", PURGE, ["cache:*"], 405),
        ("DELETE", "/admin/cache", ["cache:*"], 405),
        ("GET", "/admin", ["cache:*"], 404),
        ("GET", "/admin/", ["cache:*"], 404),
    ],
)
def test_who_may_do_what(
    app: Flask, method: str, path: str, permissions: list[str] | None, status: int
) -> None:
    fields = [] if permissions is None else [bearer(*permissions)]
    told = {"CONTENT_TYPE": "application/json"}
    assert call(app, path, method, fields, b'{"all": true}', **told).status == status


def test_it_counts_against_limits() -> None:
    app = make_app(open_service()[0], ADMIN_PREFIX="/admin", RATE_LIMIT_DEFAULT="1/minute")
    assert [post(app, {"all": True}).status for _ in range(2)] == [200, 429]


def test_a_store_that_is_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object) -> Any:
        raise StoreFault("redis: ConnectionError")

    monkeypatch.setattr(TieredResponses, "purge", broken)
    monkeypatch.setattr(TieredResponses, "usage", broken)
    for answer in (
        post(app, {"all": True}),
        call(app, "/admin/cache", headers=[bearer("cache:*")]),
    ):
        assert (answer.status, answer.code) == (503, "cache_unavailable")
        assert answer.header("Retry-After") == ["1"]
        assert b"redis" not in answer.body


def test_without_the_setting_it_is_not_there() -> None:
    app = make_app(open_service()[0])
    assert post(app, {"all": True}).status == 404
    code = (
        "import sys; from tests.support.wsgi import make_app, open_service;"
        "make_app(open_service()[0]); print([n for n in sys.modules if 'gateway.admin' == n"
        " or n.startswith('gateway.caching.') or n == 'gateway.policies.cache'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("prefix", ["/admin", "/admin/cache", "/admin/users", "/"])
def test_paths_of_a_service_are_its_own(prefix: str) -> None:
    service, stub = stubbed(prefix=prefix)
    public(service)
    if prefix == "/":  # it has what nobody else has
        app = make_app(service, ADMIN_PREFIX="/admin")
        assert post(app, {"all": True}).status == 200
        assert call(app, PURGE, headers=[bearer()]).status == 405
        assert not stub.requests
        assert call(app, "/admin/other").status == 200
        return
    with pytest.raises(ConfigurationError) as raised:
        make_app(service, ADMIN_PREFIX="/admin")
    (fault,) = raised.value.faults
    assert fault.startswith("ADMIN_PREFIX: /admin is among the paths of service 'things' (")


def test_a_service_above_the_prefix_owns_it() -> None:
    with pytest.raises(ConfigurationError):
        make_app(open_service(prefix="/api")[0], ADMIN_PREFIX="/api/admin")
    app = make_app(open_service(prefix="/administration")[0], ADMIN_PREFIX="/admin")
    assert call(app, "/administration/x").status == 200


@pytest.mark.parametrize("wrong", [{"STATE_URL": "sqlite://"}, {"REDIS_URL": "http://h.test"}])
def test_faults_of_the_store_are_told(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_app(open_service()[0], ADMIN_PREFIX="/admin", **wrong)
    (fault,) = raised.value.faults
    assert fault.startswith(next(iter(wrong)))


@pytest.mark.parametrize("prefix", ["admin", "/admin/", "/", "//a", "/..", "/a b", "/<x>", "/a?b"])
def test_a_prefix_that_is_none(prefix: str) -> None:
    with pytest.raises(ValueError, match="ADMIN_PREFIX"):
        make_app(open_service()[0], ADMIN_PREFIX=prefix)


def test_it_is_in_the_access_log(app: Flask) -> None:
    lines: list[dict[str, Any]] = []
    log = AccessLog(lambda line: lines.append(orjson.loads(line)))
    app.wsgi_app._log = log  # type: ignore[attr-defined]
    post(app, {"all": True})
    (line,) = lines
    assert (line["route"], line["status"], line["user"]) == (PURGE, 200, "ada")
    assert line["bytes_in"] == len(b'{"all":true}')

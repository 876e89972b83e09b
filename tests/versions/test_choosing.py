"""Which version a request is for, and what becomes of one that names none there is."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import Service, Version, public, require
from gateway.errors import ConnectFailed
from gateway.testing_stub import Backend
from tests.support.wsgi import Answer, call, make_app
from tests.versions.support import versioned

Fields = list[tuple[str, str]]

EVERYWHERE = {
    "default": "v1",
    "path": "/api/{version}/users",
    "media_type": True,
    "query": "version",
}


def ask(target: str, *headers: tuple[str, str], **choice: Any) -> Answer:
    """The answer of a gateway with v1, v2 and v3."""
    versions = [Version(label, upstream=f"http://{label}.test") for label in ("v1", "v2", "v3")]
    service, _ = versioned(*versions, choice=choice or EVERYWHERE)
    return call(make_app(service), target, headers=headers)


@pytest.mark.parametrize(
    ("target", "headers", "label"),
    [
        ("/api/users/7", [], "v1"),
        ("/api/users/7?version=2", [], "v2"),
        ("/api/users/7?a=1&%76ersion=V2&version=3", [], "v2"),
        ("/api/users/7?version=&version=+v3", [], "v3"),
        ("/api/users/7?versions=2", [], "v1"),
        ("/api/users/7?version=2", [("Accept", "application/json;v=3")], "v3"),
        ("/api/users/7", [("Accept", "application/vnd.acme.v3+json"), ("API-Version", "2")], "v2"),
        ("/api/users/7", [("Accept-Version", "2"), ("API-Version", "V3")], "v3"),
        ("/api/users/7", [("Accept-Version", "2"), ("API-Version", " ")], "v2"),
        ("/api/v3/users/7?version=2", [("API-Version", "2")], "v3"),
        ("/api/v3/users/7", [("API-Version", "9")], "v3"),
    ],
)
def test_path_comes_before_header_media_type_query_and_default(
    target: str, headers: Fields, label: str
) -> None:
    answer = ask(target, *headers)
    assert answer.status == 200
    assert answer.header("API-Version") == [label]
    assert answer.body == f"http://{label}.test{target}".encode()


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/api/users/7?version=9", []),
        ("/api/users/7", [("API-Version", "2.0")]),
        ("/api/users/7", [("API-Version", "v1,v2")]),
        ("/api/users/7", [("Accept", "application/vnd.acme.v9+json")]),
        ("/api/users/7", [("API-Version", "9"), ("Accept-Version", "1")]),
        ("/api/v9/users/7", [("API-Version", "1")]),
    ],
)
def test_a_version_that_there_is_not(target: str, headers: Fields) -> None:
    answer = ask(target, *headers)
    assert (answer.status, answer.code) == (404, "unknown_version")
    assert answer.json["supported"] == ["v1", "v2", "v3"]
    assert answer.header("API-Version") == []
    by_path = target.startswith("/api/v9")
    assert answer.header("Vary") == ([] if by_path else ["API-Version, Accept-Version, Accept"])


def test_what_is_not_declared_chooses_nothing() -> None:
    headers = [("API-Version", "2"), ("Accept", "application/json;v=2")]
    answer = ask("/api/users/7?version=2", *headers, default="v3", headers=["X-V"])
    assert answer.header("API-Version") == ["v3"]
    assert answer.header("Vary") == ["X-V"]
    answer = ask("/api/users/7?v=2", *headers, default="v3", headers=[], query="v")
    assert answer.header("API-Version") == ["v2"]
    assert answer.header("Vary") == []


def test_without_a_default_a_version_must_be_named() -> None:
    choice = {**EVERYWHERE, "default": None}
    answer = ask("/api/users/7", **choice)
    assert (answer.status, answer.code) == (400, "version_missing")
    assert answer.json["supported"] == ["v1", "v2", "v3"]
    assert answer.header("Vary") == ["API-Version, Accept-Version, Accept"]
    assert ask("/api/users/7", ("API-Version", "2"), **choice).status == 200
    assert ask("/api/v2/users/7", **choice).status == 200


class Clock:
    """Wall time that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


ENDS = 1767225600.0  # 2026-01-01


def test_a_version_that_has_ended() -> None:
    clock = Clock()
    service, stub = versioned(
        Version(
            "v1",
            deprecated="2025-01-01",
            sunset="2026-01-01",
            after_sunset="refuse",
            link="/migration",
        ),
        Version("v2", sunset="2026-01-01"),
        Version("v3"),
        choice={"default": "v1", "clock": clock},
    )
    app = make_app(service)
    clock.now = ENDS - 1
    answer = call(app, "/api/users/7")
    assert answer.status == 200
    unknown = call(app, "/api/users/7", headers=[("API-Version", "9")])
    assert unknown.json["supported"] == ["v1", "v2", "v3"]
    clock.now = ENDS
    gone = call(app, "/api/users/7")
    assert (gone.status, gone.code) == (410, "version_gone")
    assert gone.json["supported"] == ["v2", "v3"]
    for name in ("API-Version", "Deprecation", "Sunset", "Link", "Vary"):
        assert gone.header(name) == answer.header(name) != []
    # One that is not to be refused is served on.
    served = call(app, "/api/users/7", headers=[("API-Version", "2")])
    assert served.status == 200
    assert served.header("Sunset") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
    assert len(stub.requests) == 2


def test_a_view_is_not_called_for_a_version_that_there_is_not() -> None:
    service, stub = versioned()
    called = []

    @service.get("/me")
    def me() -> dict[str, str]:
        called.append("me")
        return {"name": "Ada"}

    app = make_app(service)
    assert call(app, "/api/users/me", headers=[("API-Version", "9")]).code == "unknown_version"
    assert call(app, "/api/v9/users/me").code == "unknown_version"
    assert not called
    answer = call(app, "/api/v2/users/me")  # an answer of the view's own is of a version, too
    assert (answer.json, answer.header("API-Version")) == ({"name": "Ada"}, ["v2"])
    assert not stub.requests


def failing(error: Exception) -> Backend:
    """A backend that cannot be reached."""

    def backend(*_asked: object) -> Any:
        raise error

    return backend


def test_failures_of_the_gateway_tell_the_version() -> None:
    service, _ = versioned(Version("v1", deprecated="2025-01-01"), backend=failing(ConnectFailed()))
    answer = call(make_app(service), "/api/users/7")
    assert answer.status == 502
    assert answer.header("API-Version") == ["v1"]
    assert answer.header("Deprecation") == ["@1735689600"]


def test_who_may_not_ask_learns_of_no_version() -> None:
    service, _ = versioned()
    require("user:read", methods=["POST"])(service)
    answer = call(make_app(service), "/api/users/7", "POST", [("API-Version", "9")])
    assert (answer.status, answer.header("API-Version")) == (401, [])


def test_named_and_default_are_for_legs() -> None:
    service, _ = versioned()
    choice = make_app(service).extensions["gateway"].runtimes["users"].versions
    assert choice.labels == ("v1", "v2")
    assert choice.default.service.name == "users-v1"
    assert choice.named("V2").service.name == "users-v2"
    with pytest.raises(ValueError, match="service 'users' has no version 'v3'"):
        choice.named("v3")
    service, _ = versioned(choice={"default": None})
    choice = make_app(service).extensions["gateway"].runtimes["users"].versions
    assert choice.default.service.name == "users-v2"


def test_another_services_view_may_forward_to_it() -> None:
    users, _ = versioned(choice={"default": "v1"})
    front = public(Service("front", __name__, url_prefix="/front", upstream="http://front"))

    @front.get("/users")
    def list_users() -> Any:
        return users.forward()

    app = make_app(users, front)
    answer = call(app, "/front/users", headers=[("API-Version", "2")])
    assert (answer.body, answer.header("API-Version")) == (b"http://two/front/users", [])
    assert call(app, "/front/users", headers=[("API-Version", "9")]).code == "unknown_version"

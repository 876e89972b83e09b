"""Versions in the path: their rules, and what the backend and the client see of paths."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask

from gateway import Cache, ConfigurationError, Service, Version, limiter, public, require
from gateway.early_places import early_places
from gateway.observability.access_log import AccessLog
from gateway.testing_stub import StubTransport
from tests.support.wsgi import Answer, bearer, call, make_app, open_service
from tests.versions.support import echo, versioned


def url(answer: Answer) -> str:
    """What the backend was asked for."""
    assert answer.status == 200, answer
    return answer.body.decode()


def users_app(*others: Service, **options: Any) -> Flask:
    """The service with v1 and v2 and a guarded view, and further services."""
    service, _ = versioned(**options)

    @service.post("/<int:user_id>/roles")
    @require("user:admin")
    def change_roles(user_id: int) -> Any:
        return service.forward()

    return make_app(service, *others)


@pytest.mark.parametrize("prefix", ["/api/users", "/api/v1/users", "/api/v2/users"])
def test_all_paths_of_a_service_are_there_for_each_version(prefix: str) -> None:
    backend, app = "http://two" if "v2" in prefix else "http://one", users_app()
    for rest in ("", "/", "/7", "/7/", "/7/orders", "/%C3%A9?a=1"):
        assert url(call(app, prefix + rest)) == f"{backend}{prefix}{rest}"


@pytest.mark.parametrize("prefix", ["/api/users", "/api/v1/users", "/api/%762/users"])
def test_a_view_claims_its_paths_in_every_version(prefix: str) -> None:
    app = users_app()
    path = f"{prefix}/7/roles"
    assert call(app, path, "POST").status == 401
    assert call(app, path, "POST", [bearer("user:admin")]).status == 200
    for target in (path, f"{path}/"):
        refused = call(app, target, "DELETE")
        assert (refused.status, refused.header("Allow")) == (405, ["OPTIONS, POST"])
    assert call(app, f"{prefix}/+7/roles", "POST").status == 404  # no int, and not the catch-all's


@pytest.mark.parametrize("prefix", ["/api/users", "/api/v1/users", "/api/v2/users"])
def test_a_method_that_is_not_forwarded_makes_no_version_unknown(prefix: str) -> None:
    app = users_app(methods=["GET"])
    for rest in ("", "/", "/7"):
        refused = call(app, prefix + rest, "DELETE")
        assert (refused.status, refused.header("Allow")) == (405, ["GET, HEAD"])


@pytest.mark.parametrize("version", ["v3", "V1", "v1.1", "v20"])
def test_what_looks_like_a_version_and_is_none(version: str) -> None:
    app = users_app()
    for rest in ("", "/", "/7", "/7/roles"):
        for method in ("GET", "POST"):
            answer = call(app, f"/api/{version}/users{rest}", method)
            assert (answer.status, answer.code) == (404, "unknown_version")
            assert answer.json["supported"] == ["v1", "v2"]


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/api/v9/users", "/api/<version>/users"),
        ("/api/v9/users/7", "/api/<version>/users/<path:_rest>"),
        ("/api/v2/users/7", "/api/v2/users/<path:_rest>"),
        ("/api/users/7", "/api/users/<path:_rest>"),
    ],
)
def test_the_access_log_has_routes_as_they_are_declared(
    target: str, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[bytes] = []
    app = users_app()
    monkeypatch.setattr(app.wsgi_app, "_log", AccessLog(lines.append))
    call(app, target)
    assert [orjson.loads(line)["route"] for line in lines] == [route]


def test_what_looks_like_no_version_is_no_route() -> None:
    app = users_app()
    for segment in ("3", "vx", "v", "v1x", "v1.", "2024-01-15"):
        assert call(app, f"/api/{segment}/users").code == "not_found"


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        (["2024-01-15"], "/api/2030-12-31/users"),
        (["1.1"], "/api/2.0/users"),
        (["1"], "/api/2/users"),
        (["beta", "v1"], "/api/v2/users"),
    ],
)
def test_versions_look_like_those_that_there_are(labels: list[str], path: str) -> None:
    choice = {"path": "/api/{version}/users"}
    service, _ = versioned(*map(Version, labels), choice=choice)
    app = make_app(service)
    assert call(app, path).code == "unknown_version"
    for label in labels:
        assert call(app, f"/api/{label}/users/7").header("API-Version") == [label]


def test_words_look_like_nothing_else() -> None:
    service, _ = versioned(Version("beta"), choice={"path": "/api/{version}/users"})
    app = make_app(service)
    assert call(app, "/api/beta/users").status == 200
    assert call(app, "/api/gamma/users").code == "not_found"


def test_literal_paths_of_other_services_are_theirs() -> None:
    others = [
        open_service(name=name, prefix=prefix, backend=echo)[0]
        for name, prefix in (
            ("old", "/api/v3/users"),
            ("next", "/api/v4"),
            ("orders", "/api/v1/orders"),
            ("rest", ""),
        )
    ]
    app = users_app(*others)
    assert url(call(app, "/api/v3/users/7")) == "http://old.internal/api/v3/users/7"
    assert url(call(app, "/api/v4/users/7")) == "http://next.internal/api/v4/users/7"
    assert url(call(app, "/api/v1/orders/7")) == "http://orders.internal/api/v1/orders/7"
    assert url(call(app, "/api/v1/users/7")) == "http://one/api/v1/users/7"
    assert url(call(app, "/api/v5/carts")) == "http://rest.internal/api/v5/carts"
    assert call(app, "/api/v5/users/7").code == "unknown_version"


def test_the_services_own_prefix_may_be_that_of_a_version() -> None:
    app = users_app(prefix="/api/v1/users")
    headers = [("API-Version", "2")]
    answer = call(app, "/api/v1/users/7", headers=headers)  # the path says which
    assert (answer.header("API-Version"), answer.header("Vary")) == (["v1"], [])
    assert call(app, "/api/v2/users/7").header("API-Version") == ["v2"]
    assert call(app, "/api/users/7", headers=headers).status == 404


def test_the_root_can_have_versions() -> None:
    service, _ = versioned(prefix="", choice={"path": "/{version}", "default": "v1"})
    app = make_app(service)
    for target in ("/v2", "/v2/", "/v2/users/7"):
        answer = call(app, target)
        assert (url(answer), answer.header("API-Version")) == (f"http://two{target}", ["v2"])
    assert url(call(app, "/users/7")) == "http://one/users/7"
    assert call(app, "/v9/users/7").code == "unknown_version"


def test_versions_can_be_below_the_prefix() -> None:
    choice = {"path": "/api/users/{version}", "default": "v1"}
    app = users_app(choice=choice)
    assert url(call(app, "/api/users/v2/7")) == "http://two/api/users/v2/7"
    assert url(call(app, "/api/users/7")) == "http://one/api/users/7"
    assert call(app, "/api/users/v9/7").code == "unknown_version"
    assert call(app, "/api/users/v2/7/roles", "POST").status == 401


def test_limits_of_a_view_are_shared_by_its_versions() -> None:
    service, _ = versioned()

    @service.get("/search")
    @limiter.limit("2/minute")
    def search() -> Any:
        return service.forward()

    app = make_app(service)
    statuses = [
        call(app, path).status
        for path in ("/api/users/search", "/api/v2/users/search", "/api/v1/users/search")
    ]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("order", [1, -1])
def test_another_services_prefix_cannot_be_a_versions(order: int) -> None:
    users, _ = versioned()
    other, _ = open_service(name="old", prefix="/api/v2/users")
    with pytest.raises(ConfigurationError) as caught:
        make_app(*[users, other][::order])
    assert len(caught.value.faults) == 1
    assert "/api/v2/users of its versions is a prefix of service 'old'" in caught.value.faults[0]


def test_operators_paths_cannot_be_a_versions() -> None:
    users, _ = versioned()
    with pytest.raises(ConfigurationError, match="among the paths of service 'users'"):
        make_app(users, ADMIN_PREFIX="/api/v2/users/admin")


def test_services_that_are_told_apart_by_headers_may_have_versions() -> None:
    users, _ = versioned()
    tenant = public(
        Service(
            "tenant",
            __name__,
            url_prefix="/api/users",
            headers={"X-Tenant": "acme"},
            upstream="http://tenant",
            session=StubTransport(echo).session(),
        )
    )
    app = make_app(tenant, users)
    headers = [("X-Tenant", "acme"), ("API-Version", "2")]
    assert url(call(app, "/api/users/7", headers=headers)) == "http://tenant/api/users/7"
    assert url(call(app, "/api/users/7", headers=headers[1:])) == "http://two/api/users/7"
    assert url(call(app, "/api/v1/users/7", headers=headers)) == "http://one/api/v1/users/7"
    assert call(app, "/api/v9/users/7", headers=headers).code == "unknown_version"


# -- what the backend sees, and what clients get back ----------------------------------------------


@pytest.mark.parametrize(
    ("strip", "put", "target", "seen", "told"),
    [
        (True, None, "/api/users/7", "/7", "/api/users"),
        (True, None, "/api/v2/users/7", "/7", "/api/v2/users"),
        (True, None, "/api/v2/users", "/", "/api/v2/users"),
        ("/api", None, "/api/users/7", "/users/7", "/api"),
        ("/api", None, "/api/v2/users/7", "/v2/users/7", "/api"),
        (False, "/v2/users", "/api/users/7", "/v2/users/7", None),
        (False, "/v2/users", "/api/users", "/v2/users", None),
        (False, "/v2/users", "/api/users/", "/v2/users/", None),
        (False, "/v2/users", "/%61pi/users/a%2Cb", "/v2/users/a%2Cb", None),
        (False, "/v2/users", "/%61pi/users", "/v2/users", None),
        (False, "/v2/users", "/api/v2/users/7?a=%20", "/v2/users/7?a=%20", "/api"),
        (False, "/v2/users", "/api/v2/users", "/v2/users", "/api"),
        (True, "/people/", "/api/v2/users/7", "/people/7", None),
        (False, "/", "/api/v2/users/7", "/7", "/api/v2/users"),
        (False, "/", "/api/users", "/", "/api/users"),
    ],
)
def test_prefixes_are_those_that_were_really_used(
    strip: bool | str, put: str | None, target: str, seen: str, told: str | None
) -> None:
    def backend(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        place = url.partition("?")[0].removesuffix("/")
        return 201, {"Location": f"{place}/new?x=/api"}, b""

    service, stub = versioned(
        Version("v2", prefix=put),
        backend=backend,
        strip_prefix=strip,
        choice={"default": "v2", "path": "/api/{version}/users"},
    )
    answer = call(make_app(service), target, headers=[("X-Forwarded-Prefix", "/forged")])
    (asked,) = stub.requests
    assert asked.url == f"http://one{seen}"
    assert asked.headers.get("X-Forwarded-Prefix") == told
    # Where it is for the client, it is below the prefix that the client used.
    prefix = "/api/v2/users" if "v2" in target else "/api/users"
    rest = target.partition("?")[0].removeprefix(prefix).removeprefix("/%61pi/users")
    where = f"http://gateway.example{prefix}{rest.removesuffix('/')}/new?x=/api"
    assert answer.header("Location") == [where]


def test_a_prefix_that_was_put_is_taken_from_locations_alone() -> None:
    told = iter(["/v2/users/9", "/v2/users", "/v2/usersx", "/login", "http://else.test/v2/users"])
    service, _ = versioned(
        Version("v2", prefix="/v2/users"),
        backend=lambda *_: (201, {"Location": next(told)}, b""),
        choice={"default": "v2"},
    )
    app = make_app(service)
    found = [call(app, "/api/users/7").header("Location")[0] for _ in range(5)]
    assert found == [
        "/api/users/9",
        "/api/users",
        "/v2/usersx",
        "/login",
        "http://else.test/v2/users",
    ]


@pytest.mark.parametrize(
    ("path", "prefix", "alone"),
    [
        ("/api/{version}/users", "/api/kept", True),
        ("/api/{version}/users", "/api/v3/kept", True),
        ("/api/{version}/kept", "/api/v3/kept", False),
        ("/{version}/users", "/kept", True),
        ("/{version}/users", "/v3", False),
    ],
)
def test_answers_of_other_services_are_no_slower_for_it(
    path: str, prefix: str, alone: bool
) -> None:
    users, _ = versioned(choice={"path": path, "default": "v1"})
    kept, _ = open_service(name="kept", prefix=prefix, policies=[Cache(shared=True)])
    app = make_app(users, kept)
    gateway = app.extensions["gateway"]
    places = early_places(app, gateway, gateway.schemes)
    assert {name: place.alone for name, place in places.items()} == {"kept.forward": alone}

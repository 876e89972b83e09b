"""Each version is a service of its own: its policies, its address, and what it shares with none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import jwt
import orjson
import pytest
from flask import Flask

from gateway import (
    Cache,
    CircuitBreaker,
    ConfigurationError,
    Fallback,
    Handler,
    Policy,
    Retry,
    Service,
    Split,
    StickySessions,
    UpstreamRequest,
    UpstreamResponse,
    Version,
    public,
    with_policies,
)
from gateway.cli.upstreams import print_upstreams
from gateway.errors import ConnectFailed
from gateway.observability.access_log import AccessLog
from gateway.service import Runtime
from gateway.transforms import RequestHeaders, RequestJSON, ResponseHeaders, ResponseJSON
from gateway.view_policies import Layers
from tests.authentication.support import key_pair
from tests.support.wsgi import Answer, bearer, call, make_app, open_service
from tests.versions.support import versioned

TWO = [("API-Version", "2")]
KEPT = {"Cache-Control": "max-age=60", "Content-Length": "2"}


def runtimes(app: Flask) -> dict[str, Runtime]:
    """What the services of an application have at run time."""
    found: dict[str, Runtime] = app.extensions["gateway"].runtimes
    return found


# -- policies --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noting:
    """Writes its name into the request as it passes."""

    name: str
    stacks: ClassVar[bool] = True

    def __call__(self, following: Handler) -> Handler:
        def handle(request: UpstreamRequest) -> UpstreamResponse:
            request.headers.append(("X-Step", self.name))
            return following(request)

        return handle


class PerRequest(Noting):
    """One that must stand above what repeats."""

    per: ClassVar[str] = "request"


NAMES = {Cache: "cache", Retry: "retry", CircuitBreaker: "breaker", Fallback: "fallback"}


@pytest.mark.parametrize(
    ("service", "own", "wanted"),
    [
        # behind the cache, above what repeats, in the order of the list
        (
            [Cache(), CircuitBreaker(), Retry()],
            [PerRequest("in"), Noting("out")],
            "cache breaker in out retry",
        ),
        ([Cache(), Retry(), CircuitBreaker()], [Noting("x")], "cache x retry breaker"),
        ([Cache(), CircuitBreaker()], [Noting("x")], "cache breaker x"),
        ([], [PerRequest("x"), Noting("y")], "x y"),
        ([Retry()], [Noting("x")], "x retry"),
        # one of its own in the place of the service's, and transforms beside each other
        ([Cache(), Noting("a"), Retry()], [Noting("b"), Retry(attempts=9)], "cache a b retry"),
        # further out or in where it makes no sense otherwise
        ([CircuitBreaker(), Retry()], [Cache(), Noting("x")], "cache x breaker retry"),
        ([Retry()], [CircuitBreaker(scope="target")], "retry breaker"),
        (
            [Retry()],
            [PerRequest("x"), CircuitBreaker(scope="target"), Noting("y")],
            "x retry breaker y",
        ),
    ],
)
def test_where_the_policies_of_a_version_stand(
    service: list[Policy], own: list[Policy], wanted: str
) -> None:
    found = Layers.inside(own, service).among(service)
    told = [getattr(one, "name", None) or NAMES[type(one)] for one in found]
    assert " ".join(told) == wanted
    replaced = [one for one in own if type(one) in NAMES]
    assert all(one in found for one in replaced)


def test_transforms_of_versions_keep_clients_and_backend_apart() -> None:
    def backend(_method: str, _url: str, headers: Any, body: bytes) -> tuple[int, Any, bytes]:
        told = orjson.loads(body) | {"via": headers["X-Via"]}
        return 200, {"Content-Type": "application/json"}, orjson.dumps(told)

    service, _ = versioned(
        Version(
            "v1",
            policies=[
                RequestJSON(rename={"client_id": "clientId"}),
                ResponseJSON(rename={"clientId": "client_id"}),
                RequestHeaders(append={"X-Via": "{service} v1"}),
            ],
        ),
        Version("v2", policies=[ResponseHeaders(set={"X-Two": "yes"})]),
        backend=backend,
        policies=[RequestHeaders(set={"X-Via": "all"}), Retry()],
    )
    app = make_app(service)
    kind = ("Content-Type", "application/json")
    one = call(app, "/api/v1/users", "POST", [kind], b'{"client_id":7}')
    assert one.json == {"client_id": 7, "via": "all, users v1"}
    two = call(app, "/api/v2/users", "POST", [kind], b'{"clientId":7}')
    assert (two.json, two.header("X-Two")) == ({"clientId": 7, "via": "all"}, ["yes"])


def test_policies_of_views_work_in_each_version() -> None:
    service, stub = versioned(
        Version("v1", policies=[Noting("v1")]),
        Version("v2", policies=[Noting("v2")]),
        policies=[PerRequest("all"), Retry()],
    )

    @service.get("/me")
    @with_policies(Noting("view"))
    def me() -> Any:
        return service.forward()

    app = make_app(service)
    for path in ("/api/v1/users/me", "/api/v2/users/me", "/api/v2/users/7"):
        call(app, path)
    seen = [dict(request.headers.items())["X-Step"] for request in stub.requests]
    assert seen == ["view, all, v1", "view, all, v2", "all, v2"]


def test_policies_of_views_are_judged_in_each_version() -> None:
    service, _ = versioned(Version("v1"), Version("v2", policies=[Retry()]))

    @service.get("/me")
    @with_policies(CircuitBreaker(scope="target"), CircuitBreaker(scope="target"))
    def me() -> Any:
        return service.forward()

    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert [fault.partition(" (")[0] for fault in caught.value.faults] == [
        "view 'users.me': CircuitBreaker is there twice"
    ]


# -- what is not shared ----------------------------------------------------------------------------


def test_a_version_that_fails_opens_no_circuit_but_its_own() -> None:
    def backend(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        if "two" in url:
            raise ConnectFailed
        return 200, {}, b"one"

    service, stub = versioned(backend=backend, policies=[CircuitBreaker(failures=2)])
    app = make_app(service)
    codes = [call(app, "/api/v2/users/7").code for _ in range(3)]
    assert codes == ["connection_refused", "connection_refused", "circuit_open"]
    assert call(app, "/api/v1/users/7").status == 200
    assert call(app, "/api/users/7").status == 200
    assert sum("two" in request.url for request in stub.requests) == 2


def test_versions_share_no_kept_answers() -> None:
    made = iter(range(100))

    def backend(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {**KEPT, "ETag": f'"{next(made)}"'}, b"ok"

    service, stub = versioned(
        Version("v1", deprecated="2025-01-01"),
        Version("v2"),
        backend=backend,
        policies=[Cache()],
        upstream="http://one",
    )
    app = make_app(service)

    def ask(label: str, **fields: str) -> Answer:
        headers = [("API-Version", label), *fields.items()]
        return call(app, "/api/users/7", headers=headers)

    first, second = ask("v1"), ask("v2")
    assert (first.header("ETag"), second.header("ETag")) == (['"0"'], ['"1"'])
    for label, etag in (("v1", '"0"'), ("v2", '"1"')):
        kept = ask(label)
        assert kept.header("X-Cache") == ["HIT"]
        assert (kept.header("ETag"), kept.header("API-Version")) == ([etag], [label])
        assert kept.header("Deprecation") == (["@1735689600"] if label == "v1" else [])
        unchanged = ask(label, **{"If-None-Match": etag})
        assert (unchanged.status, unchanged.header("API-Version")) == (304, [label])
        assert unchanged.header("Vary") == ["API-Version, Accept-Version"]
    assert len(stub.requests) == 2
    # By its path, it is another URL; what is changed there is not known of here.
    assert call(app, "/api/v1/users/7").header("X-Cache") == ["MISS"]
    assert call(app, "/api/users/7", "PATCH", TWO).status == 200
    assert ask("v1").header("X-Cache") == ["MISS"]  # of all versions at this URL


@pytest.mark.parametrize("path", ["/api/users", "/api/v2/users"])
def test_a_location_below_a_prefix_that_was_put_is_purged(path: str) -> None:
    def backend(method: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        if method == "POST":
            return 201, {"Location": "/v2/users/9"}, b""
        return 200, KEPT, b"ok"

    service, stub = versioned(
        Version("v2", prefix="/v2/users"),
        backend=backend,
        policies=[Cache()],
        choice={"default": "v2", "path": "/api/{version}/users"},
    )
    app = make_app(service)
    targets = ("/api/users/9", "/api/v2/users/9", "/api/users/8")
    for target in targets:
        call(app, target)
    call(app, path, "POST")
    told = [call(app, target).header("X-Cache") for target in targets]
    assert told == [["MISS"], ["MISS"], ["HIT"]]  # whichever way it was named
    assert {request.url for request in stub.requests[:2]} == {"http://one/v2/users/9"}


def test_versions_have_places_and_pools_of_their_own() -> None:
    app = make_app(versioned()[0])
    found = runtimes(app)
    assert sorted(found) == ["users", "users-v1", "users-v2"]
    assert {name: one.pool.service for name, one in found.items()} == {
        "users": "users-v1",
        "users-v1": "users-v1",
        "users-v2": "users-v2",
    }
    assert sorted(app.extensions["gateway"].carrying) == ["users-v1", "users-v2"]
    assert found["users-v1"].pool is not found["users-v2"].pool


def test_operators_see_the_versions(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    app = make_app(versioned()[0], STATE_URL=f"lmdb://{tmp_path / 'state'}")
    print_upstreams(app, as_json=False, watch=None)
    heads = [line for line in capsys.readouterr().out.splitlines() if "balancing" in line]
    assert [line.partition(":")[0] for line in heads] == ["users-v1", "users-v2"]


# -- where they are --------------------------------------------------------------------------------


def test_where_a_version_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERS_URL", "http://all.test")
    monkeypatch.setenv("USERS_V2_URL", "http://two.test")
    monkeypatch.setenv("USERS_V3_URL", "http://not.test")
    labels = [Version("v1"), Version("v2"), Version("v3", upstream="http://three.test")]
    for upstream, first in ((None, "all.test"), ("http://one.test", "one.test")):
        app = make_app(versioned(*labels, upstream=upstream)[0])
        names = [runtimes(app)[f"users-v{n}"].pool.nodes[0].target.name for n in (1, 2, 3)]
        assert [name.split(":")[0] for name in names] == [first, "two.test", "three.test"]


def test_a_service_needs_no_address_if_every_version_has_one() -> None:
    service, _ = versioned(Version("v1", upstream="http://a"), upstream=None)
    assert call(make_app(service), "/api/users").status == 200


def test_one_service_can_be_in_several_applications() -> None:
    service, _ = versioned()
    for _ in range(2):
        assert call(make_app(service), "/api/v2/users").body == b"http://two/api/v2/users"


# -- the name by which they are known --------------------------------------------------------------


def test_backend_and_log_know_the_service_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    private, public_key = key_pair("EdDSA")
    monkeypatch.setenv("MINE", private)
    service, stub = versioned(identity="token", policies=[RequestHeaders(set={"X-S": "{service}"})])
    app = make_app(service, INTERNAL_TOKEN_KEY="k1=EdDSA:env:MINE")
    lines: list[Any] = []
    log = AccessLog(lambda line: lines.append(orjson.loads(line)))
    monkeypatch.setattr(app.wsgi_app, "_log", log)
    call(app, "/api/v2/users/7", headers=[bearer(sub="ada")])
    (asked,) = stub.requests
    assert asked.headers["X-S"] == "users"
    token = asked.headers["X-Internal-Token"]
    assert jwt.decode(token, public_key, ["EdDSA"], audience="users")["sub"] == "ada"
    call(app, "/api/v9/users/7")
    plain, _ = open_service()
    other = make_app(plain)
    monkeypatch.setattr(other.wsgi_app, "_log", log)
    call(other, "/things/7")
    assert [(line["service"], line.get("version")) for line in lines] == [
        ("users", "v2"),
        ("users", None),
        ("things", None),
    ]
    assert "version" not in lines[2]


def test_a_cookie_of_a_version_reaches_all_of_its_paths() -> None:
    service, _ = versioned(
        Version("v1"),
        Version("v2", upstream="http://a,http://b"),
        load_balancing=StickySessions(),
    )
    answer = call(make_app(service, SECRET_KEY="x" * 32), "/api/v2/users")
    (cookie,) = answer.header("Set-Cookie")
    assert cookie.startswith("gw_users-v2=")
    assert "; Path=/api;" in cookie


def test_pathless_services_can_have_versions() -> None:
    users, _ = versioned(prefix=None, choice={"default": "v2"})
    front = public(
        Service("a", __name__, url_prefix="/a", upstream="http://a", policies=[Split("users", 100)])
    )
    assert call(make_app(users, front), "/a/x").body == b"http://two/a/x"


NOTHING = """
import sys
from gateway import Cache, Service, create_app, public
from settings import Settings
settings = Settings(JWT_SECRET="x" * 32, STATE_URL="memory://", WEB_CONCURRENCY=1)
one = public(Service("one", "one", url_prefix="/one", upstream="http://one", policies=[Cache()]))
create_app(settings, services=[one])
print(sorted(name for name in sys.modules if name.startswith("gateway.versions")))
"""


def test_nothing_of_versions_is_imported_without_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTHING], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"

"""`flask gateway explain`: what would become of a request, without anything becoming of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result
from flask import Flask, Request, Response
from flask.cli import ScriptInfo

from gateway import Cache, Frontend, Retry, Service, Version, Versions, create_app, public
from gateway.cli import group
from gateway.database.schema import upgrade
from gateway.filters import pre
from gateway.rate_limiting.concurrency.limits import ConcurrencyLimit
from gateway.rate_limiting.windows import Hit
from gateway.state import EmbeddedState, EmbeddedStore
from gateway.testing import ScriptedUpstream
from gateway.testing_stub import StubTransport
from gateway.transforms import RequestHeaders, ResponseHeaders
from tests.authentication.api_keys.support import made, secret_changed
from tests.cli.explain_app import LIMIT, make
from tests.rate_limiting.concurrency.conftest import embedded_worker
from tests.support import messages
from tests.support.wsgi import bearer, call, make_settings, token

Explain = Callable[..., dict[str, Any]]
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def listener() -> Iterator[ScriptedUpstream]:
    """A backend that listens: whoever asked it would be seen."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the workers of the application meet."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def app(listener: ScriptedUpstream, shared: Path) -> Flask:
    return make(listener.url, f"lmdb://{shared}")


@pytest.fixture(scope="module")
def served(listener: ScriptedUpstream, shared: Path) -> Flask:
    """Another worker of the same gateway, whose backend is content with everything."""
    answer = 200, {"Content-Length": "2"}, b"ok"
    return make(listener.url, f"lmdb://{shared}", StubTransport(lambda *_asked: answer).session())


def run(app: Flask, *words: str) -> Result:
    """The command, in this process."""
    info = ScriptInfo(create_app=lambda: app)
    done = CliRunner().invoke(group, ["explain", *words], obj=info)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done


@pytest.fixture
def explain(app: Flask) -> Explain:
    """What is told of a request, and its exit code."""

    def explained(method: str, path: str, *words: str, to: Flask = app) -> dict[str, Any]:
        done = run(to, method, path, "--json", *words)
        assert done.stderr == ""
        return {**json.loads(done.stdout), "code": done.exit_code}

    return explained


def holding(*permissions: str) -> list[str]:
    """The words that present a token with these permissions."""
    return ["--token", bearer(*permissions)[1].removeprefix("Bearer ")]


def told(found: dict[str, Any]) -> tuple[str, int | None, str | None]:
    """What becomes of it: outcome, status and code."""
    answer = found["answer"] or {"status": None, "code": None}
    return found["outcome"], answer["status"], answer["code"]


READER = holding("order:read")
WRITER = holding("order:read", "order:write", "order:refund")


@pytest.mark.parametrize(
    ("method", "path", "words", "endpoint", "outcome"),
    [
        ("GET", "/orders/7", READER, "orders.forward", ("forwarded", None, None)),
        ("GET", "/orders", READER, "orders.forward", ("forwarded", None, None)),
        (
            "GET",
            "/orders/7",
            [*READER, "--header", "API-Version: 2"],
            "second.forward",
            ("forwarded", None, None),
        ),
        ("POST", "/orders/7/refunds", WRITER, "orders.refund", ("forwarded", None, None)),
        ("GET", "/things/1", [], "things.forward", ("forwarded", None, None)),
        ("OPTIONS", "/orders/7/owned", READER, "orders.owned", ("unknown", None, None)),
        ("GET", "/orders/7/owned", READER, "orders.owned", ("unknown", None, None)),
        ("GET", "/healthz", [], "gateway_ops.healthz", ("own", None, None)),
        ("GET", "/orders/7", [], "orders.forward", ("refused", 401, "missing_token")),
        (
            "GET",
            "/orders/7",
            ["--token", "a.b.c"],
            "orders.forward",
            ("refused", 401, "token_invalid"),
        ),
        ("PUT", "/orders/7", READER, "orders.forward", ("refused", 403, "insufficient_scope")),
        (
            "GET",
            "/orders/7/refunds",
            READER,
            "orders.claim_0",
            ("refused", 405, "method_not_allowed"),
        ),
        ("POST", "/orders/x/refunds", WRITER, "orders.claim_0", ("refused", 404, "not_found")),
        ("GET", "/ordres/7", READER, None, ("refused", 404, "not_found")),
        ("TRACE", "/things/1", [], None, ("refused", 405, "method_not_allowed")),
        ("GET", "/orders/a%2Fb", READER, "second.forward", ("refused", 400, "ambiguous_path")),
        ("get", "/orders/7", READER, None, ("refused", 400, None)),
        (
            "GET",
            "/orders/7",
            [*READER, "--header", "X-Access-Tokens: x"],
            "orders.forward",
            ("refused", 400, "two_credentials"),
        ),
        (
            "PUT",
            "/orders/7",
            [*WRITER, "--header", "Content-Length: 99999999"],
            "orders.forward",
            ("refused", 413, "body_too_large"),
        ),
        ("GET", "/empty", [], "empty.forward", ("refused", 503, "destination_unavailable")),
    ],
)
def test_what_becomes_of_a_request(
    explain: Explain,
    method: str,
    path: str,
    words: list[str],
    endpoint: str | None,
    outcome: tuple[str, int | None, str | None],
) -> None:
    found = explain(method, path, *words)
    assert told(found) == outcome
    assert (found.get("route") or {"endpoint": None})["endpoint"] == endpoint
    assert found["code"] == {"refused": 1, "unknown": 3}.get(outcome[0], 0)


def test_the_explanation_and_the_answer_agree(app: Flask, explain: Explain) -> None:
    # Of requests that are refused, the real one says the same.
    for method, path, headers in [
        ("GET", "/orders/7", []),
        ("PUT", "/orders/7", [bearer("order:read")]),
        ("GET", "/orders/7/refunds", [bearer("order:read")]),
        ("GET", "/ordres", []),
        ("GET", "/orders/%2e%2e/x", [bearer("order:read")]),
        ("GET", "/orders/7", [("X-Access-Tokens", "a"), bearer("order:read")]),
    ]:
        real = call(app, path, method, headers)
        words = [word for name, value in headers for word in ("--header", f"{name}: {value}")]
        answer = explain(method, path, *words)["answer"]
        assert (answer["status"], answer["code"]) == (real.status, real.code), path
        for name, value in answer["headers"]:
            assert value in real.header(name)


def others(found: dict[str, Any]) -> dict[str, str]:
    return {other["endpoint"]: other["why"] for other in found["others"]}


def test_why_others_lost(explain: Explain) -> None:
    found = explain("GET", "/orders/7", *READER)
    assert others(found) == {
        "second.forward": "needs API-Version: 2, and the request has none",
        "orders.refund": "the path ends before /refunds",
        "orders.owned": "the path ends before /owned",
    }
    found = explain("GET", "/orders/7", *READER, "--header", "API-Version: 3")
    assert others(found)["second.forward"].endswith("has another")
    found = explain("GET", "/orders/7", *READER, "--header", "API-Version: 2")
    assert found["route"]["because"] == "API-Version: 2"
    assert others(found)["orders.forward"] == "it is less exact, or comes later"


def test_why_a_view_keeps_its_path(explain: Explain) -> None:
    found = explain("GET", "/orders/7/refunds", *READER)
    assert found["route"]["claimed_by"] == ["orders.refund (POST)"]
    assert others(found)["orders.refund"] == "takes POST, not GET"
    assert others(found)["orders.forward"].startswith("a view has the path")
    assert dict(found["answer"]["headers"])["Allow"] == "OPTIONS, POST"
    found = explain("POST", "/orders/x/refunds", *WRITER)
    assert others(found)["orders.refund"] == "'x' is no int for order_id"


def test_what_a_path_nobody_has_is_like(explain: Explain) -> None:
    found = explain("GET", "/things2/7")
    assert others(found) == {}  # nothing begins like it
    found = explain("GET", "/orders/7/refund", *READER)
    assert others(found)["orders.refund"] == "'refund' is not 'refunds'"


def test_who_asks_and_what_of_it_is_met(explain: Explain) -> None:
    given = token("ada", roles=["clerk"], permissions=["order:*"], scope="a b")
    found = explain("POST", "/orders/7/refunds", "--token", given)
    assert found["identity"] == {
        "scheme": "jwt",
        "kind": "user",
        "subject": "ada",
        "roles": ["clerk"],
        "permissions": ["order:*", "a", "b"],
        "scopes": ["a", "b"],
        "plan": None,
    }
    assert found["decision"] == {
        "public": False,
        "requirements": [
            {"part": "order:refund", "met": True},
            {"part": "order:write", "met": True},
        ],
        "result": "permitted",
    }
    found = explain("POST", "/orders/7/refunds", *READER)
    assert [one["met"] for one in found["decision"]["requirements"]] == [False, False]
    assert found["decision"]["result"] == "refused"
    assert explain("GET", "/things/1")["decision"] == {
        "public": True,
        "requirements": [],
        "result": "permitted",
    }
    assert explain("GET", "/things/1", "--token", "x")["identity"] == {
        "refused": "token_invalid",
        "scheme": "bearer",
    }


def test_a_function_is_called_only_when_that_is_wanted(app: Flask, explain: Explain) -> None:
    found = explain("GET", "/orders/7/owned", *READER)
    assert found["asks"] == ["owns_order"]
    assert found["decision"]["requirements"] == [
        {"part": "order:read", "met": True},
        {"part": "owns_order", "met": None},
    ]
    # Who lacks something else is refused without it, as by a request.
    found = explain("GET", "/orders/7/owned", *holding())
    assert told(found) == ("refused", 403, "insufficient_scope")
    done = run(app, "GET", "/orders/7/owned", *READER, "--json", "--ask")
    assert told(json.loads(done.stdout)) == ("refused", 500, "internal_error")


def test_limits_and_what_is_left_of_them(explain: Explain) -> None:
    found = explain("GET", "/things/1", "--address", "203.0.113.9")
    limits = {one["name"]: one for one in found["limits"]}
    assert limits["things-60"] == {
        "kind": "rate",
        "name": "things-60",
        "limit": f"things {LIMIT}/60s",
        "whose": "ip:203.0.113.9",
        "left": LIMIT,
        "reset": 60.0,
        "retry": 0,
    }
    assert (limits["things-concurrency"]["left"], limits["things-concurrency"]["whose"]) == (
        3,
        "everybody",
    )
    assert limits["logins-60"]["kind"] == "failed logins"
    found = explain("POST", "/orders/7/refunds", *WRITER)
    paced = next(one for one in found["limits"] if "nodelay" in one["limit"])
    assert (paced["left"], paced["wait"], paced["whose"]) == (3, 0, "user:ada")


def test_a_limit_that_is_used_up(served: Flask, explain: Explain) -> None:
    for _ in range(LIMIT):
        assert call(served, "/things/limited", REMOTE_ADDR="203.0.113.77").status == 200
    found = explain("GET", "/things/limited", "--address", "203.0.113.77")
    assert told(found) == ("refused", 429, "rate_limited")
    limit = next(one for one in found["limits"] if one["name"] == "things-60")
    assert (limit["left"], 0 < limit["retry"] <= 60) == (0, True)
    assert 0 < int(dict(found["answer"]["headers"])["Retry-After"]) <= 60


def test_requests_at_the_same_time(shared: Path, explain: Explain) -> None:
    worker = embedded_worker(EmbeddedStore(shared))
    claim = ConcurrencyLimit("things", 3).claim("")
    tokens = [worker.take(claim)[0] for _ in range(3)]
    found = explain("GET", "/things/busy")
    assert told(found) == ("refused", 429, "concurrency_limited")
    limit = next(one for one in found["limits"] if one["kind"] == "concurrency")
    assert (limit["limit"], limit["left"]) == ("things 3 at once", 0)
    for taken in tokens:
        worker.free(taken, claim)
    assert explain("GET", "/things/busy")["outcome"] == "forwarded"


def test_an_api_key_its_plan_and_its_quota(
    listener: ScriptedUpstream, tmp_path: Path, explain: Explain
) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    upgrade(url)
    key = made(url, scopes=("order:read",), plan="free")
    plans = {"free": {"rate": "3/second", "quota": "10/day", "concurrency": 2}}
    settings: dict[str, Any] = {"API_KEYS": True, "DATABASE_URL": url, "PLANS": plans}
    app = make(listener.url, f"lmdb://{tmp_path}/state", **settings)
    try:
        for _ in range(2):
            found = explain("GET", "/orders/7", "--api-key", key, to=app)
        usage = app.extensions["gateway"].records.usage
        assert (usage._pending, usage._thread) == ({}, None)
        wrong = explain("GET", "/orders/7", "--api-key", secret_changed(key), to=app)
    finally:
        app.extensions["gateway"].records.close()
    assert found["outcome"] == "forwarded"
    assert (found["identity"]["kind"], found["identity"]["plan"]) == ("key", "free")
    assert dict(found["request"]["fields"])["X-Api-Key"] == "***"
    assert "X-Api-Key" not in dict(found["upstream"]["fields"])
    left = {one["name"]: one["left"] for one in found["limits"]}
    assert left == {"free-1": 3, "free-day": 10, "plan-concurrency": 2, "logins-60": 100}
    assert told(wrong) == ("refused", 401, "api_key_invalid")


def test_an_authority_that_would_be_asked(
    listener: ScriptedUpstream, tmp_path: Path, explain: Explain
) -> None:
    settings: dict[str, Any] = {
        "INTROSPECTION_URL": f"{listener.url}/introspect",
        "INTROSPECTION_CLIENT_ID": "gateway",
        "INTROSPECTION_CLIENT_SECRET": "hunter2",
    }
    app = make(listener.url, f"lmdb://{tmp_path}", **settings)
    listener.reset()
    found = explain("GET", "/orders/7", "--token", "opaque", to=app)
    assert (found["outcome"], found["asks"], found["code"]) == ("unknown", ["introspection"], 3)
    assert found["decision"]["requirements"] == [{"part": "order:read", "met": None}]
    assert found["limits"][-1]["left"] is None or found["limits"][-1]["kind"] == "failed logins"
    assert "who asks is not known: what depends on that is left out" in found["notes"]
    assert listener.requests == []
    own = Service("own", __name__, url_prefix="/own", upstream="http://h.test", policies=[Cache()])
    other = create_app(make_settings(**settings), services=[public(own)])
    found = explain("GET", "/own/1", "--token", "opaque", to=other)
    assert (found["outcome"], found["cache"]["key"]) == ("unknown", None)
    active = messages.response(b"200 OK", b"Connection: close", body=b'{"active":false}')
    listener.respond(active)
    found = explain("GET", "/orders/7", "--token", "opaque", "--ask", to=app)
    assert told(found) == ("refused", 401, "token_invalid")
    assert len(listener.requests) == 1
    listener.reset()


def test_policies_in_order(explain: Explain) -> None:
    found = explain("POST", "/orders/7/refunds", *WRITER)
    policies = [(one["policy"], one.get("view")) for one in found["policies"]]
    assert policies == [
        ("Deadline(seconds=2)", None),
        ("Fallback()", None),
        ("Retry(attempts=3)", "orders.refund"),
        ("CircuitBreaker(failures=2, ratio=None)", None),
    ]
    assert found["policies"][3]["circuit"]["state"] == "closed"
    (change,) = found["policies"][0]["does"]
    assert change.startswith("+ X-Request-Deadline: ")
    assert found["times"]["deadline"] == 2
    assert any("a view answers" in note for note in found["notes"])


def test_an_open_circuit(shared: Path, explain: Explain) -> None:
    state = EmbeddedState(EmbeddedStore(shared))
    now = state.clock()
    value = {"open": True, "until": now + 20, "failures": 0, "expires": now + 90}
    state.change("circuit/orders", lambda _: value)
    try:
        found = explain("GET", "/orders/7", *READER)
    finally:
        state.change("circuit/orders", lambda _: None)
    assert told(found) == ("refused", 503, "circuit_open")
    circuit = found["policies"][3]
    assert (circuit["refuses"], circuit["circuit"]["state"]) == (True, "open")
    assert 15 < int(dict(found["answer"]["headers"])["Retry-After"]) <= 20
    assert "instead, Fallback may answer" in found["notes"]


def test_instances_that_are_not_well(
    listener: ScriptedUpstream, shared: Path, explain: Explain
) -> None:
    state = EmbeddedState(EmbeddedStore(shared))
    now = state.clock()
    good = listener.url.removeprefix("http://")
    key = f"upstream/several/health/{good}"
    ill = {"healthy": False, "since": now - 9, "checked": now - 1, "expires": now + 60}
    state.change(key, lambda _: {**ill, "reason": "status 500", "streak": 0})
    found = explain("GET", "/several")
    assert (found["outcome"], found["target"]["chosen"]) == ("forwarded", ["127.0.0.2:1"])
    states = {one["target"]: one for one in found["target"]["instances"]}
    assert (states[good]["used"], states[good]["health"]["reason"]) == (False, "status 500")
    # An open circuit of the other one leaves none.
    circuit = {"open": True, "until": now + 20, "failures": 0, "expires": now + 90}
    state.change("circuit/several/127.0.0.2:1", lambda _: circuit)
    assert told(explain("GET", "/several")) == ("refused", 503, "circuit_open")
    state.change(key, lambda _: None)
    found = explain("GET", "/several")
    assert (found["outcome"], found["target"]["chosen"]) == ("forwarded", [good])
    state.change("circuit/several/127.0.0.2:1", lambda _: None)
    assert explain("GET", "/several")["target"]["chosen"] == sorted([good, "127.0.0.2:1"])


def test_a_kept_answer(served: Flask, explain: Explain) -> None:
    path = "/things/kept?page=1&x=9"
    words = ["--host", "gateway.example"]
    before = explain("GET", path, *words)
    assert (before["outcome"], before["cache"]["answer"]) == ("forwarded", None)
    assert call(served, path, REMOTE_ADDR="203.0.113.1").status == 200
    found = explain("GET", path, *words)
    assert (found["outcome"], found["kept_status"], found["code"]) == ("kept", 200, 0)
    cache = found["cache"]
    assert cache["key"] == before["cache"]["key"]
    assert len(cache["key"]) == 32
    assert (cache["answer"]["status"], cache["answer"]["use"]) == (200, "fresh")
    assert 0 <= cache["answer"]["age"] < 60
    assert cache["url"] == "/things/kept?page=1"
    assert cache["differs_by"] == [
        "http://gateway.example",
        "the path",
        "the parameters page",
        "the field X-Tenant",
        "not the caller: shared",
    ]
    # For others it is another key.
    other = explain("GET", path, *words, "--header", "X-Tenant: a")
    assert (other["outcome"], other["cache"]["answer"]) == ("forwarded", None)
    assert other["cache"]["key"] != cache["key"]
    assert explain("GET", "/things/kept?page=1&x=8", *words)["cache"]["key"] == cache["key"]
    wanted = explain("GET", "/things/none", "--header", "Cache-Control: only-if-cached")
    assert told(wanted) == ("refused", 504, "only_if_cached")
    posted = explain("POST", path, *words, *holding("thing:write"))
    assert posted["cache"]["key"] is None


def test_what_goes_in_and_out(listener: ScriptedUpstream, explain: Explain) -> None:
    found = explain(
        *(
            "GET",
            "/orders/7?access_token=hunter2&page=2",
            "--token",
            token("ada", permissions=["order:read"]),
        ),
        *("--header", "Cookie: a=hunter2; b=hunter2", "--header", "X-User-ID: root"),
        *("--header", "X-My-Secret: hunter2", "--header", "Accept: text/html"),
        *("--address", "203.0.113.9", "--host", "api.example"),
    )
    asked = dict(found["request"]["fields"])
    assert asked["Authorization"] == "Bearer ***"
    assert asked["Cookie"] == "a=***; b=***"
    assert (asked["X-My-Secret"], asked["X-User-Id"]) == ("***", "root")
    assert found["request"]["target"] == "/orders/7?access_token=***&page=2"
    upstream = found["upstream"]
    assert upstream["method"] == "GET"
    assert upstream["url"] == f"{listener.url}/7?access_token=***&page=2"
    fields = dict(upstream["fields"])
    assert "Authorization" not in fields  # hidden
    assert fields["Cookie"] == "a=***; b=***"
    assert fields["X-User-ID"] == "ada"
    assert fields["X-Forwarded-For"] == "203.0.113.9"
    assert fields["X-Forwarded-Host"] == "api.example"
    assert fields["X-Forwarded-Prefix"] == "/orders"
    assert fields["Accept"] == "text/html"
    assert "X-Request-Deadline" in fields
    assert "hunter2" not in json.dumps(found)


def test_a_body_is_outlined_and_not_read(explain: Explain) -> None:
    found = explain("PUT", "/orders/7", *WRITER, "--data", '{"a": 1}')
    assert dict(found["upstream"]["fields"])["Content-Length"] == "8"


def test_a_url_says_scheme_and_host(explain: Explain) -> None:
    found = explain("GET", "https://api.example:8443/things/1?page=2")
    assert found["request"]["url"] == "https://api.example:8443"
    assert dict(found["upstream"]["fields"])["X-Forwarded-Proto"] == "https"
    assert found["cache"]["differs_by"][0] == "https://api.example:8443"


def test_a_peer_that_is_a_proxy(listener: ScriptedUpstream, shared: Path, explain: Explain) -> None:
    app = make(listener.url, f"lmdb://{shared}", TRUSTED_PROXIES="10.0.0.0/8,unix")
    words = ["--header", "X-Forwarded-For: 203.0.113.9"]
    for address in ("10.1.2.3", "unix"):
        found = explain("GET", "/things/1", "--address", address, *words, to=app)
        assert found["request"]["address"] == "203.0.113.9"
        assert found["request"]["trusted_peer"]
    found = explain("GET", "/things/1", "--address", "192.0.2.1", *words, to=app)
    assert found["request"]["address"] == "192.0.2.1"


def test_a_request_that_the_server_refuses(explain: Explain) -> None:
    found = explain("GET", "/" + "x" * 9000)
    assert (told(found), found["code"]) == (("refused", 414, None), 1)
    assert explain("GET", "/a b")["answer"]["status"] == 400


def test_a_store_of_its_own_is_said_to_be_one(listener: ScriptedUpstream, explain: Explain) -> None:
    found = explain("GET", "/things/1", to=make(listener.url, "memory://"))
    assert any("STATE_URL=memory://" in note for note in found["notes"])


@pre()
def never(request: Request) -> None:
    """A filter that nobody calls here."""
    raise AssertionError("a filter was called")


def test_versions_filters_transforms_and_frontends(explain: Explain) -> None:
    users = Service(
        "users",
        __name__,
        url_prefix="/users",
        upstream="http://new.test",
        versions=Versions(
            Version("v1", upstream="http://old.test", deprecated="2026-01-01", policies=[Retry()]),
            Version("v2"),
            default="v2",
            path="/{version}/users",
            headers=["API-Version"],
        ),
        policies=[
            RequestHeaders(set={"X-Caller": "{identity.subject}", "X-Api-Token": "hunter2"}),
            ResponseHeaders(remove=["Server"]),
        ],
    )
    front = Frontend("front", __name__, url_prefix="/front", uses=[users])

    @front.get("/")
    def whole() -> Response:
        raise AssertionError("a view was called")

    services = [public(users), public(front)]
    app = create_app(make_settings(), services=services, filters=[never])
    found = explain("GET", "/users/7", "--token", token("ada"), to=app)
    assert (found["version"]["label"], found["version"]["all"]) == ("v2", ["v1", "v2"])
    assert found["upstream"]["url"] == "http://new.test/users/7"
    fields = dict(found["upstream"]["fields"])
    assert (fields["X-Caller"], fields["X-Api-Token"]) == ("ada", "***")
    first, second = found["policies"]
    assert sorted(first["does"]) == ["+ X-Api-Token: ***", "+ X-Caller: ada"]
    assert second["does"] == ["changes the answer"]
    assert found["filters"] == [{"name": "never", "phase": "pre", "on": True}]
    assert "hunter2" not in json.dumps(found)
    for path, words in (("/v1/users/7", []), ("/users/7", ["--header", "API-Version: 1"])):
        found = explain("GET", path, *words, to=app)
        assert found["version"]["label"] == "v1"
        assert dict(found["version"]["fields"])["Deprecation"] == "@1767225600"
        assert found["target"]["service"] == "users-v1"
        assert found["policies"][-1]["policy"] == "Retry()"
    for path, words in (("/v3/users/7", []), ("/users/7", ["--header", "API-Version: 3"])):
        assert told(explain("GET", path, *words, to=app)) == ("refused", 404, "unknown_version")
    for method, path in (("GET", "/nowhere"), ("PUT", "/front/")):  # filters come before the 404
        found = explain(method, path, to=app)
        assert [one["name"] for one in found["filters"]] == ["never"]
    found = explain("GET", "/front/", to=app)
    assert told(found) == ("own", None, None)
    assert "a view answers and asks users; it is not called here" in found["notes"]
    text = run(app, "GET", "/v1/users/7").stdout.splitlines()
    assert {"version   v1 of v1, v2", "  API-Version: v1", "  pre   never"} < set(text)


@pytest.mark.parametrize(
    "words",
    [
        ["GET", "orders"],
        ["GET", "http://user:hunter2@h/x"],
        ["G T", "/x"],
        ["GET", "/x", "--address", "here"],
        ["GET", "/x", "--header", "hunter2"],
        ["GET", "/x", "--header", "X: a\r\nX-User-ID: hunter2"],
        ["GET", "/x", "--token", "hunter2\n"],
        ["GET", "/x\r\nX: hunter2"],
    ],
)
def test_wrong_words(app: Flask, words: list[str]) -> None:
    done = run(app, *words)
    assert done.exit_code == 2
    assert "hunter2" not in done.output.replace(repr(words[1]), "")


def test_nothing_is_counted_asked_or_begun(
    listener: ScriptedUpstream, tmp_path: Path, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(listener.url, f"lmdb://{tmp_path}")

    def refuse(*_words: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    explain("GET", "/things/1", to=app)  # whatever is opened once
    listener.reset()
    store = EmbeddedStore(tmp_path)
    app.extensions["gateway"].windows.acquire([Hit("somebody", 5, 60)])
    before, threads = _content(store), set(threading.enumerate())
    assert before
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for method, path, words in [
        ("GET", "/orders/7", WRITER),
        ("POST", "/orders/7/refunds", WRITER),
        ("GET", "/orders/7", ["--token", "a.b.c"]),
        ("PUT", "/things/1", holding("thing:write")),
        *[("GET", "/things/1", [])] * (2 * LIMIT),
        ("GET", "/several", []),
        ("GET", "/nowhere", []),
    ]:
        explain(method, path, *words, to=app)
    assert _content(store) == before
    assert set(threading.enumerate()) == threads
    assert listener.requests == []
    assert app.extensions["gateway"].capacity.taken == 0


def _content(store: EmbeddedStore) -> dict[bytes, bytes]:
    """All that the workers share by now."""
    found: dict[bytes, bytes] = {}
    for table in store.layout.tables:
        with store.read(table) as transaction, transaction.cursor() as cursor:
            found |= {table + bytes(key): bytes(value) for key, value in cursor}
    return found


def test_the_text(app: Flask, listener: ScriptedUpstream) -> None:
    done = run(app, "GET", "/orders/7", *READER)
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[:5] == [
        "GET /orders/7",
        "on http://localhost, from 127.0.0.1",
        f"is forwarded to {listener.url}/7",
        "",
        "route     /orders/... (orders.forward), service orders",
    ]
    refund = "POST /orders/<int:order_id>/refunds (orders.refund)"
    for line in (
        f"  not     {refund}: the path ends before /refunds",
        "identity  user ada, by jwt; permissions order:read",
        "decision  permitted",
        "  met     order:read",
        "  failed logins: *logins 100/60s of ip:127.0.0.1: 100 left",
        "  CircuitBreaker(failures=2, ratio=None), circuit closed",
        "times     connect 1 s, read 10 s; 2 s to the response head",
        "  Authorization: Bearer ***",
    ):
        assert line in lines
    done = run(app, "GET", "/orders/7")
    assert "is answered with 401 missing_token: This needs a token." in done.stdout.splitlines()
    done = run(app, "GET", "/orders/7/owned", *READER)
    assert "depends on who would be asked: owns_order (see --ask)" in done.stdout
    assert (done.exit_code, "answered with 414" in run(app, "GET", "/" + "x" * 9000).stdout) == (
        3,
        True,
    )

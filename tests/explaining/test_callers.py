"""`flask gateway explain`: who asks, and what is met of what is required."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask

from gateway import Cache, Service, create_app, public
from gateway.database.schema import upgrade
from gateway.testing import ScriptedUpstream
from tests.authentication.api_keys.support import made, secret_changed
from tests.explaining.app import make
from tests.explaining.support import READER, Explain, holding, run, told
from tests.support import messages
from tests.support.wsgi import make_settings, token


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

"""`flask gateway explain`: versions, filters, transforms and frontends."""

from __future__ import annotations

import json

from flask import Request, Response

from gateway import Frontend, Retry, Service, Version, Versions, create_app, public
from gateway.filters import pre
from gateway.transforms import RequestHeaders, ResponseHeaders
from tests.explaining.support import Explain, run, told
from tests.support.wsgi import make_settings, token


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

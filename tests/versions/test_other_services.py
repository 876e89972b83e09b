"""Versions and other services: sending to one, handing on, standing in, copies."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway import (
    ConfigurationError,
    Fallback,
    Frontend,
    Mirror,
    Policy,
    Service,
    Split,
    Version,
    gather,
    parallel,
    public,
)
from gateway.errors import ConnectFailed
from gateway.transforms import RequestHeaders
from tests.support.wsgi import call, make_app
from tests.versions.support import echo, versioned


def test_other_services_can_send_to_the_default_or_to_a_version() -> None:
    users, stub = versioned()
    first = public(
        Service("a", __name__, url_prefix="/a", upstream="http://a", policies=[Split("users", 100)])
    )
    second = public(
        Service(
            "b", __name__, url_prefix="/b", upstream="http://b", policies=[Split("users-v2", 100)]
        )
    )
    app = make_app(users, first, second)
    assert call(app, "/a/x").body == b"http://one/a/x"
    assert call(app, "/b/x").body == b"http://two/b/x"
    assert len(stub.requests) == 2


def test_legs_go_to_the_default_or_to_a_version() -> None:
    def backend(_method: str, url: str, headers: Any, _body: bytes) -> tuple[int, Any, bytes]:
        told = [url, headers.get("API-Version"), headers.get("X-S")]
        return 200, {"Content-Type": "application/json"}, orjson.dumps(told)

    users, _ = versioned(
        Version("v1"),
        Version("v2", upstream="http://two", prefix="/v2/users"),
        backend=backend,
        policies=[RequestHeaders(set={"X-S": "{service}"})],
    )
    front = public(Frontend("front", __name__, url_prefix="/front", uses=[users]))

    @front.get("/<version>")
    def parts(version: str) -> Any:
        found = gather(
            usual=users.fetch("/7"), named=users.fetch("/7", version=version, required=True)
        )
        return found.respond({"parts": [found["usual"], found["named"]]})

    app = make_app(users, front)
    assert call(app, "/front/2").json["parts"] == [
        ["http://one/api/users/7", None, "users"],
        ["http://two/v2/users/7", None, "users"],
    ]


def test_a_version_can_hand_requests_to_another_one() -> None:
    service, _ = versioned(
        Version("v1", policies=[Split("users-v2", 100)]), Version("v2", upstream="http://two")
    )
    answer = call(make_app(service), "/api/v1/users/7")
    assert (answer.body, answer.header("API-Version")) == (b"http://two/api/v1/users/7", ["v1"])


def test_a_version_can_stand_in_for_another_one() -> None:
    def backend(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
        if "two" in url:
            raise ConnectFailed
        return echo("GET", url)

    service, _ = versioned(
        Version("v1"),
        Version("v2", upstream="http://two", policies=[Fallback(service="users-v1")]),
        backend=backend,
    )
    answer = call(make_app(service), "/api/users/7", headers=[("API-Version", "2")])
    assert (answer.body, answer.header("X-Fallback")) == (b"http://one/api/users/7", ["service"])


def test_a_version_can_be_tried_with_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    def start(task: Any) -> bool:
        begun.append(task)
        return True

    monkeypatch.setattr(parallel, "start", start)
    service, stub = versioned(
        Version("v1", policies=[Mirror("users-v2")]), Version("v2", upstream="http://two")
    )
    assert call(make_app(service), "/api/users/7").body == b"http://one/api/users/7"
    begun.pop()()
    assert [request.url for request in stub.requests] == [
        "http://one/api/users/7",
        "http://two/api/users/7",
    ]


@pytest.mark.parametrize("name", ["users", "users-v1"])
def test_a_version_cannot_send_to_itself(name: str) -> None:
    own: list[Policy] = [Split(name, 5), Mirror(name), Fallback(service=name)]
    service, _ = versioned(Version("v1", policies=own), Version("v2"))
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert [fault.partition(": ")[2].partition(":")[0] for fault in caught.value.faults] == [
        "Split",
        "Mirror",
        "Fallback",
    ]

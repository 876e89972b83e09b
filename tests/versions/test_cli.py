"""What operators are told of versions."""

from __future__ import annotations

import pytest

from gateway import CircuitBreaker, Retry, Version
from gateway.cli.services import print_services, summary
from tests.support.wsgi import make_app
from tests.versions.support import versioned


def test_services_are_listed_with_their_versions(capsys: pytest.CaptureFixture[str]) -> None:
    service, _ = versioned(
        Version(
            "v1", deprecated="2025-01-01", sunset="2026-01-01", after_sunset="refuse", link="/how"
        ),
        Version("v2", upstream="http://two", prefix="/v2/users", policies=[CircuitBreaker()]),
        choice={
            "default": "v1",
            "path": "/api/{version}/users",
            "media_type": True,
            "query": "version",
        },
        policies=[Retry()],
    )
    app = make_app(service)
    print_services(app)
    head, _, *rest = capsys.readouterr().out.splitlines()
    assert head == "users: /api/users -> its versions"
    first, *versions = rest[:3]
    ways = "path /api/{version}/users, API-Version, Accept-Version, Accept, ?version="
    assert first == f"  versions by {ways}; otherwise v1"
    facts = "deprecated 2025-01-01, sunset 2026-01-01 (then refused)"
    assert versions == [
        f"  v1: users-v1 -> http://one, {facts}; policies Retry()",
        "  v2: users-v2 -> http://two, prefix /v2/users; policies CircuitBreaker(), Retry()",
    ]
    paths = [line.split()[-1] for line in rest if "/users" in line and "http" not in line][1:]
    assert paths == ["/api/users/<...>", "/api/users", "/api/users/"]
    assert summary(app.extensions["gateway"].chosen).startswith("The settings and 1 services")


def test_nothing_more_is_told_than_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    service, _ = versioned(choice={"query": "v", "headers": ()}, prefix="")
    print_services(make_app(service))
    out = capsys.readouterr().out
    assert "  versions by ?v=; otherwise none\n" in out
    assert "  v1: users-v1 -> http://one; policies none\n" in out

"""What a successful unsafe request makes invalid: its own path, and what its answer names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway import StaticBody, UpstreamResponse
from gateway.caching.invalidating import changed_paths, invalidate
from gateway.caching.store import Purge, StoreFault
from tests.support.outline import outline, requester

UPSTREAM = "http://orders.internal:8080"


def changed(
    location: str,
    *,
    client: str = "/api/orders/7?x=1",
    target: str = "/api/orders/7?x=1",
    base: str = "",
    field: str = "Location",
) -> set[str]:
    """The paths that are dropped beside the request's own, under the client's names."""
    asked = outline("POST", target, asker=requester(client, host="api.example", scheme="https"))
    response = UpstreamResponse(201, "", [(field, location)], StaticBody(b""), UPSTREAM, base)
    found = changed_paths(asked, response)
    assert client.partition("?")[0] in found
    return found - {client.partition("?")[0]}


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/api/orders/8?y=2#z", "/api/orders/8"),
        (f"{UPSTREAM}/api/orders/8", "/api/orders/8"),
        ("https://api.example/api/orders/8", "/api/orders/8"),
        ("https://API.example:443/api/orders/8", "/api/orders/8"),
        ("8", "/api/orders/8"),
        ("../items/%7e1", "/api/items/~1"),
        ("//orders.internal:8080/api/orders/8", "/api/orders/8"),
        ("", ""),
        ("?y=2", ""),
        ("http://api.example/api/orders/8", ""),
        ("https://api.example.evil/api/orders/8", ""),
        ("//other.example/api/orders/8", ""),
        ("http://[broken", ""),
        ("mailto:ada@example.com", ""),
    ],
)
def test_what_an_answer_names(location: str, path: str) -> None:
    assert changed(location) == ({path} if path else set())


def test_content_location_counts_as_well() -> None:
    assert changed("/api/orders/8", field="content-location") == {"/api/orders/8"}
    assert changed("/api/orders/8", field="X-Location") == set()


@pytest.mark.parametrize(
    "location", ["/v2/8", "8", f"{UPSTREAM}/v2/8", "https://api.example/api/orders/8"]
)
def test_a_stripped_prefix_and_a_base_are_undone(location: str) -> None:
    found = changed(location, client="/api/orders/7", target="/7", base="/v2")
    assert found == {"/api/orders/8"}


def test_a_prefix_that_was_all_of_the_path() -> None:
    found = changed("/8", client="/api/orders", target="/")
    assert found == {"/api/orders/8"}


@pytest.mark.parametrize("location", ["/v2/orders/8", "8", f"{UPSTREAM}/v2/orders/8"])
@pytest.mark.parametrize("client", ["/api/orders/7", "/api/v2/orders/7", "/orders/7", "/x/7"])
def test_a_prefix_that_was_put_in_another_ones_place(client: str, location: str) -> None:
    found = changed(location, client=client, target="/v2/orders/7")
    assert found == {client.removesuffix("7") + "8"}


def test_a_path_is_named_in_normal_form() -> None:
    asked = outline("DELETE", "/%61/%c3")
    response = UpstreamResponse(204, "", [], StaticBody(b""))
    assert changed_paths(asked, response) == {"/a/%C3"}


def purged(
    method: str, status: int, prefixes: Sequence[str] = (), path: str = "/things/7"
) -> list[Purge]:
    """What is dropped for such a request."""
    found: list[Purge] = []

    def purge(what: Purge) -> int:
        found.append(what)
        return 1

    answered = UpstreamResponse(status, "", [], StaticBody(b""))
    invalidate(purge, outline(method, path), answered, prefixes)
    return sorted(found, key=lambda one: one.what)


def test_only_success_changes_something() -> None:
    assert purged("POST", 200) == [Purge("path", "/things/7")]
    assert purged("DELETE", 303) == purged("UNKNOWN", 204) == purged("POST", 200)
    for status in (400, 404, 500):
        assert purged("PUT", status) == []
    for method in ("OPTIONS", "TRACE"):
        assert purged(method, 200) == []


VERSIONS = ("/users", "/users/v1", "/v%32/users")


@pytest.mark.parametrize(
    ("path", "rest"),
    [("/users/7", "/7"), ("/users/v1/7", "/7"), ("/v2/users/7", "/7"), ("/users/", "/")],
)
def test_what_is_found_below_several_prefixes_is_dropped_below_all(path: str, rest: str) -> None:
    told = sorted(f"{one}{rest}" for one in ("/users", "/users/v1", "/v2/users"))
    assert purged("POST", 200, VERSIONS, path) == [Purge("path", one) for one in told]


def test_what_is_below_none_of_them_or_the_only_one_is_dropped_there() -> None:
    assert purged("POST", 200, VERSIONS) == purged("POST", 200, ["/things"]) == purged("POST", 200)
    assert purged("POST", 200, VERSIONS, "/usersx") == [Purge("path", "/usersx")]


def test_a_request_that_no_client_sent_drops_nothing() -> None:
    asked = replace(outline("POST"), requester=None)
    assert changed_paths(asked, UpstreamResponse(200, "", [], StaticBody(b""))) == set()


def test_a_store_that_fails_stops_no_request() -> None:
    def purge(_what: Purge) -> int:
        raise StoreFault

    invalidate(purge, outline("POST"), UpstreamResponse(200, "", [], StaticBody(b"")))

"""Faults in the declaration of versions, all told at start."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway import ConfigurationError, Frontend, Retry, Service, Version, Versions, public
from tests.support.wsgi import make_app
from tests.versions.support import versioned


def faults(*versions: Any, prefix: str | None = "/api/users", **options: Any) -> list[str]:
    """What is wrong with these versions; further options are Versions' own."""
    strip = options.pop("strip_prefix", False)
    declared = Versions(*versions, **options)
    service = Service("users", __name__, url_prefix=prefix, strip_prefix=strip, versions=declared)
    return declared.faults(service)


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        (Version("a/b"), "version 'a/b': its label must be of letters"),
        (Version(1), "version 1: its label must be of letters"),  # type: ignore[arg-type]
        (Version("v1", upstream=7), "upstream must be an address"),  # type: ignore[arg-type]
        (Version("v1", discovery=Retry()), "discovery must be a value"),  # type: ignore[arg-type]
        (Version("v1", prefix="v1"), "prefix 'v1' must be an absolute path"),
        (Version("v1", prefix="/a/../b"), "must be an absolute path"),
        (Version("v1", prefix="/a b"), "must be an absolute path"),
        (Version("v1", policies=Retry()), "policies must be a list"),  # type: ignore[arg-type]
        (Version("v1", deprecated="soon"), "deprecated='soon' is no date"),
        (Version("v1", sunset=1688169599), "is no date"),  # type: ignore[arg-type]
        (Version("v1", deprecated="2024-01-02", sunset="2024-01-01"), "sunset is before"),
        (Version("v1", after_sunset="refuse"), "after_sunset needs a sunset"),
        (
            Version("v1", sunset="2024-01-01", after_sunset="no"),  # type: ignore[arg-type]
            "after_sunset='no' must be",
        ),
        (Version("v1", link="https://x.example"), "link is told with deprecated or sunset"),
        (Version("v1", sunset="2024-01-01", link="x>; rel=y"), "must be a URL"),
        (Version("v1", sunset="2024-01-01", link="/a\r\nX: y"), "must be a URL"),
        ("v1", "'v1' is no Version"),
    ],
)
def test_what_can_be_wrong_with_a_version(version: Any, fault: str) -> None:
    found = faults(version, default="v1" if isinstance(version, Version) else None)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    "link", ["https://docs.example/v2?from=1#how", "http://docs.example", "/docs", "/"]
)
def test_links_may_be_urls_and_paths(link: str) -> None:
    assert faults(Version("v1", sunset=date(2030, 1, 1), link=link)) == []


@pytest.mark.parametrize(
    ("labels", "name"),
    [(("v1", "1"), "1"), (("v1", "V1"), "1"), (("1.1", "1-1"), "1-1"), (("Beta", "beta"), "beta")],
)
def test_two_versions_of_one_name(labels: tuple[str, ...], name: str) -> None:
    assert faults(*map(Version, labels)) == [f"two versions are called {name!r}"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"default": "v9"}, "default 'v9' is none of v1, v2"),
        ({"headers": "API-Version"}, "headers='API-Version' must be a list"),
        ({"headers": ["API Version"]}, "must be a list of field names"),
        ({"query": ""}, "query='' must be the name of a parameter"),
        ({"headers": ()}, "versions are named nowhere"),
        ({"path": "/api/users"}, "must be an absolute path with one segment {version}"),
        ({"path": "api/{version}"}, "must be an absolute path"),
        ({"path": "/api/{version}/{version}"}, "must be an absolute path with one segment"),
        ({"path": "/api/x{version}"}, "must be an absolute path with one segment"),
        ({"path": "/{version}/<name>"}, "must be an absolute path with one segment"),
        ({"path": 7}, "path=7 must be text"),
        ({"path": "/{version}/users", "strip_prefix": "/api"}, "does not begin '/v1/users'"),
        ({"path": "/api/{version}/users", "prefix": None}, "needs a url_prefix"),
    ],
)
def test_what_can_be_wrong_with_the_choice(options: dict[str, Any], fault: str) -> None:
    assert fault in faults(Version("v1"), Version("v2"), **options)[0]


def test_numbers_below_the_prefix_would_be_taken_for_versions() -> None:
    assert "ids there" in faults(Version("1"), path="/api/users/{version}")[0]
    assert faults(Version("v1"), path="/api/users/{version}") == []


def test_no_version_at_all() -> None:
    assert faults() == ["versions has no Version"]


def test_a_list_is_not_what_is_wanted() -> None:
    service, _ = versioned(choice={"default": "v1"})
    service.versions = [Version("v1")]  # type: ignore[assignment]
    assert "versions must be Versions(...)" in service.faults()[0]


def test_versions_need_a_backend() -> None:
    front = Frontend("front", __name__, url_prefix="/f", uses=[], versions=Versions(Version("v1")))
    (fault,) = front.faults()
    assert "versions need a backend, and it has none" in fault


def test_faults_are_told_at_start_with_their_place() -> None:
    service, _ = versioned(Version("v1", policies=[object()]), choice={"default": "v2"})  # type: ignore[list-item]
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    first, second = caught.value.faults
    assert first.startswith("service 'users': default 'v2' is none of v1 (")
    assert second.startswith("service 'users-v1': <object object at ")
    assert all("support.py:" in fault for fault in caught.value.faults)


def test_all_that_is_wrong_is_told_at_once() -> None:
    strange: Any = 7
    versions = ("v0", Version("a/b"), Version("v1", upstream=strange), Version("1", link="x"))
    found = faults(*versions, default="v9", headers="X", query="", path="api", strip_prefix="/x")
    assert found == [
        "'v0' is no Version",
        "version 'a/b': its label must be of letters, digits, '.', '-' and '_', 64 at most",
        "version 'v1': upstream must be an address",
        "version '1': link 'x' must be a URL or an absolute path",
        "version '1': link is told with deprecated or sunset",
        "two versions are called '1'",
        "headers='X' must be a list of field names",
        "query='' must be the name of a parameter",
        "path 'api' must be an absolute path with one segment {version}",
    ]
    found = faults(Version("v1", prefix="x"), path="/{version}/users", strip_prefix="/api")
    assert [fault.partition(" ")[0] for fault in found] == ["version", "strip_prefix"]
    assert faults(headers=7, default=7) == [
        "versions has no Version",
        "default=7 must be a label",
        "headers=7 must be a list of field names",
    ]


def test_a_version_without_an_address_names_both_variables() -> None:
    service, _ = versioned(
        Version("v1"), Version("2024-01-15", upstream="http://two"), upstream=None
    )
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    (fault,) = caught.value.faults
    assert fault.startswith("USERS_V1_URL is not set, and USERS_URL is not set: it names the")


def test_what_is_wrong_with_one_address_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERS_URL", "ftp://one")
    service, _ = versioned(Version("v1"), Version("v2"), upstream=None)
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["USERS_URL"]


def test_policies_are_judged_as_each_version_has_them() -> None:
    bad = Retry(attempts=-1)
    service, _ = versioned(Version("v1"), Version("v2", policies=[bad]), policies=[Retry()])
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert {fault.partition(":")[0] for fault in caught.value.faults} == {"service 'users-v2'"}
    service, _ = versioned(policies=[bad])
    with pytest.raises(ConfigurationError) as caught:
        make_app(service)
    assert {fault.partition(":")[0] for fault in caught.value.faults} == {"service 'users'"}


def test_a_version_may_not_be_called_as_another_service() -> None:
    service, _ = versioned()
    other = public(Service("users-v1", __name__, url_prefix="/other", upstream="http://x"))
    with pytest.raises(ConfigurationError, match="two services are named 'users-v1'"):
        make_app(service, other)

"""Policies stand apart: the core knows none of them, and they know only what anybody may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway
from gateway import transforms

PACKAGE = Path(gateway.__file__).parent
POLICIES = sorted(path for path in (PACKAGE / "policies").glob("*.py") if path.stem != "__init__")
#: Where public names live, and what is there for everybody who writes a policy.
OPEN = {
    "gateway",
    "gateway.detached",
    "gateway.errors",
    "gateway.exchange",
    "gateway.headers",
    "gateway.parallel",
    "gateway.policy",
    "gateway.replay",
    "gateway.response_bodies",
    "gateway.slots",
    "gateway.state",
}

CACHING = sorted((PACKAGE / "caching").glob("*.py"))
#: Who may know how answers are kept: the policy, and what operators use.
KEEPERS = {"policies/cache.py", "admin.py", "cli/cache.py"}
#: What operators drop is read by the options of the policies there are.
PURGING = {"gateway.policies.cache", "gateway.view_policies"}

TRANSFORMS = sorted((PACKAGE / "transforms").rglob("*.py"))
#: What they use beyond that: pure functions of HTTP and JSON, bodies, what an identity is, and how
#: names are imported at first use.
SHAPING = OPEN | {
    "gateway.authentication.identity",
    "gateway.bodies",
    "gateway.content_codings",
    "gateway.forwarded",
    "gateway.headers",
    "gateway.json_depth",
    "gateway.lazy",
    "gateway.urls",
}


def imports(path: Path) -> set[str]:
    """The gateway's modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.partition(".")[0] == "gateway"}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.stem))
def test_a_policy_uses_what_anybody_may(path: Path) -> None:
    others = {name for name in imports(path) if not name.startswith("gateway.policies.")}
    if path.stem == "cache":
        others = {name for name in others if not within_caching(name)}
    assert others <= OPEN


def within_caching(name: str) -> bool:
    """Whether a module is among those that keep answers."""
    return name == "gateway.caching" or name.startswith("gateway.caching.")


@pytest.mark.parametrize("path", CACHING, ids=lambda path: str(path.stem))
def test_what_keeps_answers_uses_no_more_than_a_policy(path: Path) -> None:
    others = {name for name in imports(path) if not within_caching(name)}
    more = {"gateway.headers", "gateway.urls"}
    more |= {name for name in others if name.startswith("gateway.state.")}
    assert others - OPEN - more <= (PURGING if path.stem == "purging" else set())


def test_nothing_else_knows_how_answers_are_kept() -> None:
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "caching" and any(within_caching(name) for name in imports(path))
    }
    assert knowing <= KEEPERS


@pytest.mark.parametrize("path", TRANSFORMS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_transform_uses_little_more_than_a_policy(path: Path) -> None:
    others = {name for name in imports(path) if not name.startswith("gateway.transforms")}
    assert others <= SHAPING


def test_nothing_else_knows_a_transform() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if path not in TRANSFORMS]
    knowing = [
        path.name
        for path in outside
        if any(name.startswith("gateway.transforms") for name in imports(path))
    ]
    assert knowing == []


def test_every_public_transform_is_there() -> None:
    assert sorted(transforms._WHERE) == transforms.__all__
    assert all(getattr(transforms, name).__name__ == name for name in transforms.__all__)


def test_nothing_else_knows_a_policy() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "policies"]
    outside.remove(PACKAGE / "__init__.py")
    outside.remove(PACKAGE / "caching/purging.py")
    knowing = {
        path.name
        for path in outside
        if any(name.startswith("gateway.policies") for name in imports(path))
    }
    assert knowing == set()


def test_every_policy_is_public() -> None:
    public = {
        gateway._WHERE[name].rpartition(".")[2]
        for name in gateway.__all__
        if gateway._WHERE[name].startswith("gateway.policies.")
    }
    helpers = {"circuit", "last_answer", "retry_budget"}
    assert {path.stem for path in POLICIES} == public | helpers

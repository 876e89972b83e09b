"""Policies stand apart: the core knows none of them, and they know only what anybody may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway

PACKAGE = Path(gateway.__file__).parent
POLICIES = sorted(path for path in (PACKAGE / "policies").glob("*.py") if path.stem != "__init__")
#: Where public names live, and what is there for everybody who writes a policy.
OPEN = {
    "gateway",
    "gateway.errors",
    "gateway.exchange",
    "gateway.parallel",
    "gateway.policy",
    "gateway.replay",
    "gateway.response_bodies",
    "gateway.slots",
    "gateway.state",
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
    assert others <= OPEN


def test_nothing_else_knows_a_policy() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "policies"]
    outside.remove(PACKAGE / "__init__.py")
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

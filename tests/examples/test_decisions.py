"""The example decision point, over a real socket, as Open Policy Agent would be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples.test_backends import Running, backend

RULE = "/v1/data/orders/allow"


@pytest.fixture(scope="module")
def decisions() -> Iterator[Running]:
    with backend("decisions") as running:
        yield running


@pytest.mark.parametrize(
    ("method", "last", "roles", "allowed"),
    [
        ("GET", "1001", [], True),
        ("HEAD", "1001", [], True),
        ("POST", "orders", [], False),
        ("POST", "refunds", [], False),
        ("POST", "refunds", ["support"], True),
        ("DELETE", "1001", ["support"], False),
        ("DELETE", "1001", ["admin"], True),
    ],
)
def test_the_rule(
    decisions: Running, method: str, last: str, roles: list[str], allowed: bool
) -> None:
    asked = {"method": method, "path": ["api", "v1", last], "identity": {"roles": roles}}
    answer = decisions.ask("POST", RULE, json.dumps({"input": asked}))
    assert (answer.status, answer.json) == (200, {"result": allowed})


def test_a_rule_that_there_is_not_is_undefined(decisions: Running) -> None:
    answer = decisions.ask("POST", "/v1/data/orders/deny", '{"input": {}}')
    assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize("body", ["{}", '{"input": 7}', '{"input": {}}', "[]", "rubbish"])
def test_an_input_that_says_too_little(decisions: Running, body: Any) -> None:
    assert decisions.ask("POST", RULE, body).status == 400


def test_it_has_nothing_else(decisions: Running) -> None:
    assert decisions.ask("GET", "/health").json == {"status": "ok", "service": "decisions"}
    assert decisions.ask("GET", RULE).status == 404
    assert decisions.ask("POST", "/v1/policies", "{}").status == 404

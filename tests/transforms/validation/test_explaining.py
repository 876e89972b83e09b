"""What is told to be wrong is what the library refuses, and all of that."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.transforms.validation.documents import Documents
from gateway.transforms.validation.references import Reached
from gateway.transforms.validation.rules import compiled
from gateway.transforms.validation.wording import OTHERWISE

NAMES = ("a", "b", "ab")
TYPES = ("object", "array", "string", "integer", "number", "null", "boolean", ["string", "null"])


class Made:
    """Schemas and values by lot; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._lot = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        lot = self._lot
        plain = (None, True, False, -1, 0, 1, 3, 0.5, 1.0, "", "a", "ab", "b")
        kind = lot.randrange(4 if depth < 3 else 2)
        if kind == 2:
            return [self.value(depth + 1) for _ in range(lot.randrange(4))]
        if kind == 3:
            return {name: self.value(depth + 1) for name in NAMES if lot.random() < 0.5}
        return lot.choice(plain)

    def schema(self, depth: int = 0) -> Any:
        if self._lot.random() < 0.06:
            return self._lot.choice([True, False])
        made: dict[str, Any] = {}
        for _ in range(self._lot.randrange(1, 4)):
            made.update(
                self._leaf() if depth > 2 or self._lot.random() < 0.4 else self._parts(depth)
            )
        return made

    def _leaf(self) -> dict[str, Any]:
        lot = self._lot
        leaves: list[dict[str, Any]] = [
            {"type": lot.choice(TYPES)},
            {"enum": [self.value(2), self.value(2)]},
            {"const": self.value(2)},
            {"minimum": lot.randrange(3), "exclusiveMaximum": 3},
            {"maxLength": lot.randrange(2), "pattern": "^a"},
            {"required": lot.sample(NAMES, 2)},
            {"uniqueItems": True, "maxItems": 2},
            {"minProperties": 1, "dependentRequired": {"a": ["b"]}},
            {"$ref": lot.choice(["#/$defs/x", "#/$defs/y"])},
        ]
        return lot.choice(leaves)

    def _parts(self, depth: int) -> dict[str, Any]:
        def inner() -> Any:
            return self.schema(depth + 1)

        match self._lot.randrange(10):
            case 0:
                named = {name: inner() for name in NAMES}
                return {"properties": named, "additionalProperties": inner()}
            case 1:
                return {"patternProperties": {"^a": inner()}, "additionalProperties": inner()}
            case 2:
                return {"prefixItems": [inner(), inner()]}
            case 3:
                return {"items": inner()}
            case 4:
                return {"allOf": [inner(), inner()], "unevaluatedProperties": inner()}
            case 5:
                return {"anyOf": [inner(), inner()], "propertyNames": inner()}
            case 6:
                return {"oneOf": [inner(), inner()], "dependentSchemas": {"a": inner()}}
            case 7:
                return {"not": inner()}
            case 8:
                return {"contains": inner(), "maxContains": 2}
        forms = {"if": inner(), "then": inner(), "else": inner()}
        return {**forms, "unevaluatedProperties": inner()}


def without_references(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: without_references(v) for k, v in schema.items() if k != "$ref"}
    return [*map(without_references, schema)] if isinstance(schema, list) else schema


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_is_what_is_refused(seed: int) -> None:
    made = Made(seed)
    refused = 0
    for _ in range(60):
        schema = {
            "allOf": [made.schema()],
            "$defs": {name: without_references(made.schema(2)) for name in "xy"},
        }
        documents = Documents(schema)
        reached = Reached(documents)
        reached.enter(documents.root)
        rules = compiled(documents, reached)
        for value in [made.value() for _ in range(8)]:
            told = rules.violations(value).errors != (("", OTHERWISE),)
            assert rules.valid(value) != told, (schema, value)
            refused += told
    assert refused > 100

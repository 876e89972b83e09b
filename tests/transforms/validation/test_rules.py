"""What a schema finds wrong with a value: where, in which words, and with how much effort."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.transforms.validation import explaining
from gateway.transforms.validation.documents import Documents
from gateway.transforms.validation.judging import MOST, Violations
from gateway.transforms.validation.references import Reached
from gateway.transforms.validation.rules import Rules, compiled
from gateway.transforms.validation.wording import LONGEST, OTHERWISE

OLD = "http://json-schema.org/draft-07/schema#"


def rules(schema: Any) -> Rules:
    documents = Documents(schema)
    reached = Reached(documents)
    reached.enter(documents.root)
    assert reached.faults == []
    return compiled(documents, reached)


def found(schema: Any, value: Any) -> Violations:
    made = rules(schema)
    assert not made.valid(value)
    return made.violations(value)


def wrong(schema: Any, value: Any) -> list[tuple[str, str]]:
    return list(found(schema, value).errors)


KINDS = [
    {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}},
    {"$ref": "#/$defs/dog"},
    {"type": "object", "properties": {"kind": {"enum": ["cow", "ox"]}}, "required": ["kind", "x"]},
]
DOG = {"type": "object", "properties": {"kind": {"enum": ["dog"]}}, "required": ["kind", "name"]}
PETS = {"oneOf": KINDS, "$defs": {"dog": DOG}}
FORMS = [{"type": "object", "required": ["a"]}, {"type": "null"}]
TREE = {"$ref": "#/$defs/n", "$defs": {"n": {"type": ["array", "integer"], "items": {"$ref": "#"}}}}

SAID: list[tuple[dict[str, Any], Any, str, str]] = [
    ({"type": "integer"}, "x", "", "must be an integer"),
    ({"type": ["string", "null"]}, 1, "", "must be a string or null"),
    ({"required": ["a"]}, {}, "", 'must have the member "a"'),
    ({"enum": ["a", 1, None]}, "x", "", 'must be one of "a", 1, null'),
    ({"const": {"a": 1}}, "x", "", 'must be {"a":1}'),
    ({"minimum": 1}, 0, "", "must be at least 1"),
    ({"maximum": 10**30}, 10**31, "", f"must be at most {10**30}"),
    ({"exclusiveMinimum": 0.5}, 0.5, "", "must be above 0.5"),
    ({"exclusiveMaximum": 1}, 1, "", "must be below 1"),
    ({"multipleOf": 0.01}, 0.001, "", "must be a multiple of 0.01"),
    ({"minLength": 1}, "", "", "must have at least 1 character"),
    ({"maxLength": 2}, "abc", "", "must have at most 2 characters"),
    ({"pattern": "^a$"}, "a\n", "", "must match the pattern ^a$"),
    ({"pattern": r"^\d+$"}, "٣", "", r"must match the pattern ^\d+$"),
    ({"format": "email"}, "x", "", "must have the format email"),
    ({"format": "date-time"}, "2024-01-01", "", "must have the format date-time"),
    ({"minItems": 2}, [1], "", "must have at least 2 items"),
    ({"maxItems": 1}, [1, 2], "", "must have at most 1 item"),
    ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "", "must not have an item twice"),
    ({"minProperties": 1}, {}, "", "must have at least 1 member"),
    ({"maxProperties": 0}, {"a": 1}, "", "must have at most 0 members"),
    ({"properties": {"a": {"type": "null"}}}, {"a": 1}, "/a", "must be null"),
    ({"properties": {"a": False}}, {"a": 1}, "/a", "is not allowed here"),
    ({"patternProperties": {"^x": {"type": "null"}}}, {"xy": 1}, "/xy", "must be null"),
    ({"additionalProperties": False, "properties": {"a": {}}}, {"b": 1}, "/b", "is not known here"),
    ({"additionalProperties": {"type": "null"}}, {"a": 1}, "/a", "must be null"),
    (
        {"additionalProperties": False, "patternProperties": {"^x": {}}},
        {"xa": 1, "b": 1},
        "/b",
        "is not known here",
    ),
    (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        {"a": 1, "b": 1},
        "/b",
        "is not known here",
    ),
    (
        {
            "anyOf": [{"properties": {"a": {"const": 1}}}, {"patternProperties": {"^b": {}}}],
            "if": {"required": ["c"]},
            "then": {"properties": {"c": {}}},
            "dependentSchemas": {"d": {"properties": {"d": {}}}},
            "unevaluatedProperties": {"type": "null"},
        },
        {"a": 1, "bb": 1, "c": 1, "d": 1, "e": 1},
        "/e",
        "must be null",
    ),
    ({"prefixItems": [{}, {"type": "null"}], "items": {}}, [1, 1], "/1", "must be null"),
    ({"prefixItems": [{"type": "null"}]}, [1], "/0", "must be null"),
    ({"items": {"type": "null"}}, [None, 1], "/1", "must be null"),
    (
        {"propertyNames": {"maxLength": 1}},
        {"ab": 1},
        "/ab",
        "the name of a member must have at most",
    ),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "", 'must have the member "b"'),
    ({"dependentSchemas": {"a": {"maxProperties": 1}}}, {"a": 1, "b": 1}, "", "at most 1 member"),
    ({"contains": {"type": "null"}}, [1], "", "does not have the items"),
    ({"contains": {"type": "null"}, "maxContains": 1}, [None, None], "", "does not have the items"),
    ({"not": {"type": "null"}}, None, "", "is of a form that is not allowed"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "", "has none of the forms"),
    ({"anyOf": FORMS}, {}, "", 'must have the member "a"'),
    ({"oneOf": FORMS}, {}, "", 'must have the member "a"'),
    ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/n"}], "$defs": {"n": FORMS[0]}}, {}, "", '"a"'),
    (PETS, {"kind": "cat", "lives": "x"}, "/lives", "must be an integer"),
    (PETS, {"kind": "dog"}, "", 'must have the member "name"'),
    (PETS, {"kind": "cow"}, "", "has none of the forms"),
    (PETS, 5, "", "has none of the forms"),
    ({"minimum": 1.0}, 0, "", "must be at least 1"),
    ({"oneOf": [{}, True]}, 1, "", "has more than one of the forms"),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "", '"b"'),
    ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, "", '"b"'),
    (
        {"properties": {"a/~": {"items": {"type": "null"}}}},
        {"a/~": [1]},
        "/a~1~0/0",
        "must be null",
    ),
    (TREE, [1, [2, ["x"]]], "/1/1/0", "must be an array or an integer"),
    (
        {"$schema": OLD, "items": [{"type": "null"}], "additionalItems": False},
        [None, 1],
        "/1",
        "is",
    ),
    ({"$schema": OLD, "dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1}, "", '"b"'),
    (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "minimum": 1,
            "exclusiveMinimum": True,
        },
        1,
        "",
        "must be above 1",
    ),
    ({"unevaluatedItems": False}, [1], "", OTHERWISE),
]


@pytest.mark.parametrize(
    ("schema", "value", "where", "what"),
    SAID,
    ids=[f"{n}-{list(s[0])[-1]}" for n, s in enumerate(SAID)],
)
def test_what_is_wrong_is_told(schema: Any, value: Any, where: str, what: str) -> None:
    ((place, said),) = wrong(schema, value)
    assert place == where
    assert what in said


def test_beside_a_reference_nothing_counts_before_2019() -> None:
    schema = {"$ref": "#/definitions/a", "maximum": 1, "definitions": {"a": {"minimum": 10}}}
    assert [what for _, what in wrong({"$schema": OLD, **schema}, 5)] == ["must be at least 10"]
    assert len(wrong(schema, 5)) == 2


FORMATS = """
date 2024-13-01, time 25:00:00Z, date-time 2024-01-01, duration P, email x, idn-email x,
hostname -x, idn-hostname -, ipv4 256.1.1.1, ipv6 :::, uri x, uri-reference \\, iri x,
iri-reference \\, uri-template {, uuid x, json-pointer x, relative-json-pointer x, regex [
"""


def test_formats_are_checked() -> None:
    page = dict(pair.split() for pair in FORMATS.split(","))
    assert len(page) == 19
    for name, value in page.items():
        assert wrong({"format": name}, value) == [("", f"must have the format {name}")]
    assert rules({"format": "colour"}).valid("x")


def test_all_are_told_up_to_a_bound() -> None:
    violations = found({"items": {"type": "string"}}, [1] * 120)
    assert [where for where, _ in violations.errors] == [f"/{number}" for number in range(MOST)]
    assert violations.more == 70
    assert found({"items": {"type": "string"}}, [1] * 5000).more == 950


def test_nothing_long_and_nothing_secret_is_told() -> None:
    secret = "hunter2" * 1000
    schema = {
        "properties": {"a": {"type": "integer"}, "b": {"enum": ["x" * 300, *range(1000)]}},
        "propertyNames": {"maxLength": 10},
        "additionalProperties": {"pattern": "y" * 500},
    }
    violations = wrong(schema, {"a": secret, "b": secret, secret: secret})
    assert len(violations) == 4
    assert all(len(where) <= LONGEST and len(what) <= LONGEST for where, what in violations)
    assert not any("hunter2" in what for _, what in violations)


def bomb(kind: str, size: int) -> tuple[Any, Any]:
    """A schema as there are many, and a value that takes long if errors are collected naively."""
    null_or = {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]}
    forms = [
        {"properties": {"op": {"const": op}, "of": {"items": {"$ref": "#"}}}, "required": ["op"]}
        for op in ("and", "or")
    ]
    match kind:
        case "forms":
            return {"anyOf": [{"items": {"type": "string"}}, {"type": "null"}]}, [1] * size
        case "names":
            return {"propertyNames": {"maxLength": 1}}, {f"k{n}": 1 for n in range(size)}
        case "required":
            return {"required": [f"a{n}" for n in range(99)]}, {"x": [{"a": 1}] * size}
        case "unique":
            return {"uniqueItems": True}, [*({"a": n} for n in range(size)), {"a": 1}]
        case "unevaluated":
            return {"unevaluatedItems": False}, [1] * size
        case "last":
            return {"items": {"items": {"type": "null"}}}, [[None]] * size + [[1]]
        case "deep":
            value: Any = ["x"]
            for _ in range(120):
                value = [value, *([None] * (size // 1000))]
            return null_or, value
    value = {"op": "not"}
    for _ in range(40):
        value = {"op": "or", "of": [value]}
    return {"oneOf": forms}, value


@pytest.mark.parametrize(
    "kind", ["forms", "names", "required", "unique", "unevaluated", "last", "deep", "choices"]
)
def test_no_body_takes_long(kind: str) -> None:
    schema, value = bomb(kind, 200_000)
    started = time.process_time()
    assert found(schema, value).errors
    assert time.process_time() - started < 3.0


def test_effort_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"items": {"type": "null"}}
    schemas = explaining.Schemas(lambda keywords: lambda value: value is not False, {})
    explanation = explaining.Explanation(schemas, steps=3)
    with pytest.raises(explaining.TooMuch):
        list(explanation.wrong(schema, [None] * 3))
    assert list(explaining.Explanation(schemas, steps=3).wrong(schema, [None, False])) == [
        ((1,), "must be null")
    ]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=a)(a+)+$", r"^(a|a)*\1$"])
def test_patterns_do_not_explode(pattern: str) -> None:
    started = time.process_time()
    assert not rules({"pattern": pattern}).valid("a" * 50_000 + "b")
    assert time.process_time() - started < 3.0


def test_a_pattern_that_cannot_be_matched_is_a_fault_of_the_schema() -> None:
    from gateway.transforms import JSONSchema
    from tests.transforms.validation.asking import faults

    (told,) = faults(JSONSchema({"pattern": r"(?<a>x)\k<b>"}))
    assert "#/pattern" in told

"""Parameters: how each style is read, and what is told of one that is wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from gateway.exchange import Headers
from gateway.transforms import OpenAPI
from tests.transforms.validation.asking import asked, errors, faults

INTEGERS = {"type": "array", "items": {"type": "integer"}}
POINT = {
    "type": "object",
    "required": ["x"],
    "additionalProperties": False,
    "properties": {"x": {"type": "integer"}, "label": {"type": "string"}},
}


def api(where: str, schema: Any = None, **more: Any) -> OpenAPI:
    """An API of one parameter, `p`."""
    parameter = {"name": "p", "in": where, **more}
    if schema is not None:
        parameter["schema"] = schema
    path = "/a/{p}" if where == "path" else "/a"
    if where == "path":
        parameter["required"] = True
    operation = {"parameters": [parameter]}
    policy = OpenAPI({"openapi": "3.1.0", "paths": {path: {"get": operation}}})
    assert faults(policy) == []
    return policy


def ask(policy: OpenAPI, where: str, text: str) -> list[dict[str, str]]:
    """What is wrong with `p` sent as this text; a query as it is, else the value."""
    target, fields = "/a", Headers()
    match where:
        case "path":
            target = f"/a/{text}"
        case "query":
            target = f"/a?{text}"
        case "header":
            fields = [("P", text)]
        case "cookie":
            fields = [("Cookie", text)]
    request = asked("GET", target, fields=fields)
    if policy_passes(policy, request):
        return []
    return errors(policy, request)


def policy_passes(policy: OpenAPI, request: Any) -> bool:
    from gateway.errors import Refusal

    try:
        return policy.outlined(request) is request
    except Refusal:
        return False


# Where, schema, options, what is right, what is wrong, and where in the value it is wrong.
STYLES: list[tuple[str, Any, dict[str, Any], str, str, str]] = [
    ("path", {"type": "integer"}, {}, "7", "x", ""),
    ("path", {"type": "integer"}, {}, "-7", "007", ""),
    ("path", {"type": "string", "maxLength": 3}, {}, "a%20b", "a%20bc", ""),
    ("path", INTEGERS, {}, "1,2", "1,x", "/1"),
    ("path", INTEGERS, {}, "1", "1%2C2", "/0"),
    ("path", POINT, {}, "x,1,label,a", "x,b", "/x"),
    ("path", POINT, {"explode": True}, "x=1,label=a", "x=b", "/x"),
    ("path", POINT, {"explode": True}, "x=1", "x", ""),
    ("path", POINT, {}, "x,1", "x", ""),
    ("query", {"type": "integer", "maximum": 9}, {}, "p=9", "p=10", ""),
    ("query", {"type": "integer"}, {}, "q=x", "p=", ""),
    ("query", {"type": "integer"}, {}, "%70=1", "%70=x", ""),
    ("query", {"type": "integer"}, {}, "p=1", "p=1&p=2", ""),
    ("query", {"type": "number"}, {}, "p=1.5e2", "p=1e999", ""),
    ("query", {"type": "number"}, {}, "p=-0.5", "p=.5", ""),
    ("query", {"type": "boolean"}, {}, "p=true", "p=1", ""),
    ("query", {"type": ["integer", "null"]}, {}, "p=", "p=x", ""),
    ("query", {"type": "string", "pattern": "^a b$"}, {}, "p=a+b", "p=a%2Bb", ""),
    ("query", {"type": "string"}, {}, "p=%C3%A9", "p=%FF", ""),
    ("query", {"type": "integer"}, {"allowEmptyValue": True}, "p=", "p=x", ""),
    ("query", {"enum": [1, "all"]}, {}, "p=1", "p=2", ""),
    ("query", {"anyOf": [{"type": "integer"}, {"const": "all"}]}, {}, "p=all", "p=any", ""),
    ("query", {"allOf": [{"type": "integer"}, {"minimum": 5}]}, {}, "p=5", "p=4", ""),
    ("query", INTEGERS, {}, "p=1&p=2", "p=1&p=x", "/1"),
    ("query", {**INTEGERS, "maxItems": 2}, {}, "p=1&p=2", "p=1&p=2&p=3", ""),
    ("query", INTEGERS, {"explode": False}, "p=1,2", "p=1,x", "/1"),
    ("query", INTEGERS, {"explode": False}, "p=1", "p=1%2C2", "/0"),
    ("query", INTEGERS, {"style": "spaceDelimited"}, "p=1%202+3", "p=1%20x", "/1"),
    ("query", INTEGERS, {"style": "pipeDelimited"}, "p=1|2%7C3", "p=1|x", "/1"),
    ("query", POINT, {}, "x=1&label=b", "x=b", "/x"),
    ("query", POINT, {}, "other=1", "label=b", ""),
    ("query", POINT, {"explode": False}, "p=x,1,label,a", "p=label,b", ""),
    ("query", POINT, {"style": "deepObject"}, "p[x]=1&p%5Blabel%5D=b", "p[x]=b", "/x"),
    ("query", POINT, {"style": "deepObject"}, "p[x]=1", "p[x]=1&p[z]=2", "/z"),
    ("header", {"type": "integer"}, {}, " 7", "x", ""),
    ("header", INTEGERS, {}, "1, 2", "1, x", "/1"),
    ("header", POINT, {"explode": True}, "x=1,label=a", "x=b", "/x"),
    ("cookie", {"type": "integer"}, {}, "a=b; p=7", "p=x", ""),
    ("cookie", {"type": "integer"}, {}, "q=x", "p=7; p=8", ""),
    ("cookie", INTEGERS, {"explode": False}, "p=1,2", "p=1,x", "/1"),
]


@pytest.mark.parametrize(("where", "schema", "options", "right", "bad", "pointer"), STYLES)
def test_a_style_is_read(
    where: str, schema: Any, options: dict[str, Any], right: str, bad: str, pointer: str
) -> None:
    policy = api(where, schema, **options)
    assert ask(policy, where, right) == []
    (told,) = ask(policy, where, bad)
    assert (told["parameter"], told["in"]) == ("p", where)
    assert told.get("pointer", "") == pointer
    assert told["detail"]


@pytest.mark.parametrize("where", ["query", "header", "cookie"])
def test_one_that_is_required_must_be_there(where: str) -> None:
    policy = api(where, {"type": "integer"}, required=True)
    assert ask(policy, where, "q=1" if where != "header" else "1") == (
        [] if where == "header" else [{"parameter": "p", "in": where, "detail": "is missing"}]
    )
    request = asked("GET", "/a")
    assert errors(policy, request) == [{"parameter": "p", "in": where, "detail": "is missing"}]
    assert policy_passes(api(where, {"type": "integer"}), request)


def test_a_json_parameter_is_read_as_such() -> None:
    policy = api("query", content={"application/json": {"schema": POINT}})
    assert ask(policy, "query", "p=" + quote('{"x":1}')) == []
    told = {
        '{"x":"b"}': "must be an integer",
        "{": "is not valid JSON at line 1, column 2",
        '{"x":1,"x":2}': "is an object with two members of the same name",
        '{"x":1,"label":"\\ud800"}': "has half of a surrogate pair",
    }
    for text, detail in told.items():
        (one,) = ask(policy, "query", "p=" + quote(text))
        assert one["detail"] == detail


def test_of_other_content_only_the_presence_counts() -> None:
    policy = api("query", content={"text/xml": {}}, required=True)
    assert ask(policy, "query", "p=%3Ca/%3E") == []
    assert ask(policy, "query", "") == [{"parameter": "p", "in": "query", "detail": "is missing"}]


def test_what_was_sent_is_not_told() -> None:
    policy = api("query", {"type": "string", "maxLength": 3})
    assert "hunter2" not in str(ask(policy, "query", "p=hunter2"))


def test_fields_that_others_speak_for_are_no_parameters() -> None:
    names = ("Accept", "Content-Type", "Authorization")
    parameters = [
        {"name": name, "in": "header", "required": True, "schema": {"const": "x"}} for name in names
    ]
    policy = OpenAPI({"openapi": "3.0.0", "paths": {"/a": {"get": {"parameters": parameters}}}})
    assert faults(policy) == []
    assert policy_passes(policy, asked("GET", "/a"))

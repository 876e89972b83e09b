"""Requests that must be as an OpenAPI document describes its operations."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from examples.backend import Request
from examples.orders import backend
from gateway.testing_stub import StubTransport
from gateway.transforms import OpenAPI
from tests.support.wsgi import Answer, call, make_app, open_service
from tests.transforms.openapi_documents import EXAMPLE, api, document
from tests.transforms.validation.asking import asked, errors, faults, refused, sent, wrong

ORDER = {"user_id": 1, "lines": [{"product_id": 3, "quantity": 2, "unit_price": "48.90"}]}


@pytest.fixture(scope="module")
def example() -> OpenAPI:
    policy = OpenAPI(EXAMPLE, strict_query=True)
    assert faults(policy) == []
    return policy


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/api/v1/orders"),
        ("GET", "/api/v1/orders?user_id=1&status=paid&limit=5"),
        ("HEAD", "/api/v1/orders/1001"),
        ("GET", "/api/v1/orders/1001/refunds/1"),
        ("POST", "/api/v1/orders/1001/refunds"),
    ],
)
def test_what_is_described_passes(example: OpenAPI, method: str, target: str) -> None:
    request = asked(method, target)
    assert example.outlined(request) is request


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_goes_on_byte_for_byte(example: OpenAPI, chunked: bool) -> None:
    data = json.dumps(ORDER, indent=3).encode()
    request = asked("POST", "/api/v1/orders", data, chunked=chunked)
    assert sent(example.outlined(request)) == data


def test_parameters_and_body_are_told_of_at_once() -> None:
    policy = api(
        {"type": "object", "properties": {"n": {"type": "integer"}}},
        parameters=[
            {"name": "limit", "in": "query", "schema": {"type": "integer"}},
            {"name": "X-Tenant", "in": "header", "required": True, "schema": {}},
        ],
    )
    refusal = refused(policy, asked("POST", "/a?limit=x", {"n": "hunter2"}))
    assert (refusal.code, refusal.slug) == (400, "invalid_request")
    assert refusal.description == "The request does not match its schema."
    assert refusal.members == {
        "errors": [
            {"parameter": "limit", "in": "query", "detail": "must be an integer"},
            {"parameter": "X-Tenant", "in": "header", "detail": "is missing"},
            {"pointer": "/n", "detail": "must be an integer"},
        ]
    }


def test_more_than_fifty_are_counted() -> None:
    policy = api(
        {"items": {"type": "null"}},
        parameters=[{"name": "p", "in": "query", "required": True, "schema": {}}],
    )
    refusal = refused(policy, asked("POST", "/a", [1] * 60))
    assert len(refusal.members["errors"]) == 50
    assert refusal.members["more"] == 11


def test_an_unknown_path_is_404_and_an_unknown_method_405(example: OpenAPI) -> None:
    for target in ("/api/v1/nothing", "/orders", "/api/v1/orders/", "/api/v1/orders/1/refunds/1/x"):
        refusal = refused(example, asked("GET", target))
        assert (refusal.code, refusal.slug) == (404, "not_found")
    refusal = refused(example, asked("DELETE", "/api/v1/orders"))
    assert (refusal.code, refusal.slug) == (405, "method_not_allowed")
    assert refusal.extra_headers == (("Allow", "GET, HEAD, POST"),)
    passing = OpenAPI(EXAMPLE, unknown="pass")
    for request in (asked("DELETE", "/api/v1/orders"), asked("GET", "/nothing")):
        assert passing.outlined(request) is request
    assert errors(passing, asked("GET", "/api/v1/orders?limit=x"))


def test_unknown_parameters_are_let_alone_unless_told() -> None:
    shown = [
        {"name": "p", "in": "query", "schema": {"type": "string"}},
        {"name": "d", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
        {"name": "o", "in": "query", "schema": {"type": "object", "properties": {"x": {}}}},
    ]
    given = document(parameters=shown)
    target = "/a?p=1&d[y]=1&x=1&utm=2&o=3"
    request = asked("POST", target)
    assert OpenAPI(given).outlined(request) is request
    told = errors(OpenAPI(given, strict_query=True), asked("POST", target))
    assert [one["parameter"] for one in told] == ["utm", "o"]
    assert {one["detail"] for one in told} == {"is not known here"}


def test_what_an_operation_says_counts_more_than_what_its_path_says() -> None:
    def limit(most: int) -> list[dict[str, Any]]:
        return [{"name": "n", "in": "query", "schema": {"type": "integer", "maximum": most}}]

    given = document(parameters=limit(5))
    given["paths"]["/a"]["parameters"] = limit(1)
    given["paths"]["/a"]["get"] = {}
    policy = OpenAPI(given)
    request = asked("POST", "/a?n=5")
    assert policy.outlined(request) is request
    assert errors(policy, asked("POST", "/a?n=6"))
    assert errors(policy, asked("GET", "/a?n=5"))


@pytest.mark.parametrize(
    ("servers", "prefix", "base"),
    [
        (None, None, ""),
        ([{"url": "https://api.example/v1/"}], None, "/v1"),
        ([{"url": "https://api.example"}], None, ""),
        ([{"url": "/{base}/v1", "variables": {"base": {"default": "api"}}}], None, "/api/v1"),
        ([{"url": "/v1"}], "/shop/", "/shop"),
        ([{"url": "/v1"}], "", ""),
    ],
)
def test_paths_are_below_those_of_the_servers(
    servers: list[Any] | None, prefix: str | None, base: str
) -> None:
    given = document()
    if servers is not None:
        given["servers"] = servers
    policy = OpenAPI(given, prefix=prefix)
    request = asked("POST", f"{base}/a?x=1")
    assert policy.outlined(request) is request
    assert refused(policy, asked("POST", f"/other{base}/a")).code == 404


def test_several_servers_have_the_same_paths_and_the_nearest_count() -> None:
    given = document()
    given["servers"] = [{"url": "/v1"}, {"url": "https://b.example/v2"}]
    given["paths"]["/b"] = {"servers": [{"url": "/b"}], "get": {}}
    policy = OpenAPI(given)
    for request in (asked("POST", "/v1/a"), asked("POST", "/v2/a"), asked("GET", "/b/b")):
        assert policy.outlined(request) is request
    assert refused(policy, asked("GET", "/v1/b")).code == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_required_must_be_there(example: OpenAPI, chunked: bool) -> None:
    told = [{"pointer": "", "detail": "a body is required"}]
    assert errors(example, asked("POST", "/api/v1/orders")) == told
    empty = asked("POST", "/api/v1/orders", b"", chunked=chunked)
    assert errors(example, empty) == told
    optional = asked("POST", "/api/v1/orders/1/refunds", b"", chunked=chunked)
    assert sent(example.outlined(optional)) == b""


def test_bodies_are_judged_by_their_type() -> None:
    content = {
        "application/json": {"schema": {"type": "integer"}},
        "application/vnd.shop+json": {"schema": {"type": "null"}},
        "application/*": {"schema": {"type": "string"}},
        "text/plain": {"schema": {"const": "x"}},
        "image/*": {},
    }
    policy = api(requestBody={"content": content})
    assert wrong(policy, asked("POST", "/a", b'"x"')) == {"": "must be an integer"}
    for media, said in (("vnd.shop+json", "must be null"), ("problem+json", "must be a string")):
        request = asked("POST", "/a", b"1", media=f"application/{media}")
        assert wrong(policy, request) == {"": said}
    for media in ("text/plain", "image/png", "application/xml"):
        request = asked("POST", "/a", b"1", media=media)
        assert policy.outlined(request) is request
    for other in ("video/mp4", "", None):
        refusal = refused(policy, asked("POST", "/a", b"1", media=other))
        assert (refusal.code, refusal.slug) == (415, "unsupported_media_type")
    accepted = "application/*, application/json, application/vnd.shop+json, image/*, text/plain"
    assert refusal.extra_headers == (("Accept", accepted),)
    twice = asked("POST", "/a", b"1", fields=[("Content-Type", "text/plain")])
    assert refused(policy, twice).slug == "two_content_types"


def test_a_body_of_which_nothing_is_said_passes() -> None:
    request = asked("POST", "/a", b"{", media="text/plain")
    assert api().outlined(request) is request


def test_malformed_and_large_bodies_are_refused() -> None:
    policy = OpenAPI(document({"type": "object"}), max_bytes=10)
    assert refused(policy, asked("POST", "/a", b"{")).slug == "malformed_json"
    assert refused(policy, asked("POST", "/a", b'{"a":1,"a":2}'[:10])).slug == "malformed_json"
    assert refused(policy, asked("POST", "/a", b" " * 11)).code == 413


def test_null_is_written_in_two_ways() -> None:
    old: dict[str, Any] = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True},
            "b": {"nullable": True, "allOf": [{"type": "string"}]},
            "c": {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            "d": {"$ref": "#/components/schemas/D", "maximum": 1},
            "e": {"type": "integer", "maximum": 5, "exclusiveMaximum": False},
        },
        "required": ["id", "r"],
    }
    old["properties"] |= {"id": {"readOnly": True}, "r": {"$ref": "#/components/schemas/R"}}
    given = document(old, version="3.0.3")
    given["components"] = {"schemas": {"D": {"type": "integer"}, "R": {"readOnly": True}}}
    policy = OpenAPI(given)
    assert faults(policy) == []
    right = asked("POST", "/a", {"a": None, "c": 2, "d": 5, "e": 5})
    assert policy.outlined(right).body is not None
    body = {"a": 1, "b": None, "c": 1, "d": "x", "e": 6}
    assert wrong(policy, asked("POST", "/a", body)) == {
        "/a": "must be a string or null",
        "/b": "must be a string",
        "/c": "must be above 1",
        "/d": "must be an integer",
        "/e": "must be at most 5",
    }
    new = {
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string", "nullable": True}}
    }
    assert wrong(api(new), asked("POST", "/a", {"a": None, "b": None})) == {
        "/b": "must be a string"
    }


@pytest.mark.parametrize("version", ["3.0.3", "3.1.1"])
def test_integers_have_the_size_of_their_format(version: str) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "format": "int32"},
            "b": {"type": "integer", "format": "int64", "minimum": 0},
        },
    }
    policy = api(schema, version=version)
    most = {"a": 2**31 - 1, "b": 2**63 - 1}
    assert policy.outlined(asked("POST", "/a", most)).body is not None
    over = {"a": 2**31, "b": 2**63}
    assert list(wrong(policy, asked("POST", "/a", over))) == ["/a", "/b"]


def test_schemas_may_lead_back_to_themselves() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Tree"}}}
    for version in ("3.0.0", "3.1.0"):
        given = document({"$ref": "#/components/schemas/Tree"}, version=version)
        given["components"] = {"schemas": {"Tree": tree}}
        policy = OpenAPI(given)
        assert wrong(policy, asked("POST", "/a", {"next": {"next": 1}})) == {
            "/next/next": "must be an object"
        }


def test_parts_may_be_in_other_files(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.yaml").write_text(
        "post:\n  parameters:\n    - $ref: '../api.json#/components/parameters/N'\n"
        "  requestBody: {$ref: 'body.yaml'}\n"
    )
    (tmp_path / "parts" / "body.yaml").write_text(
        "content:\n  application/json:\n    schema: {$ref: 'schemas.yaml#/A'}\n"
    )
    (tmp_path / "parts" / "schemas.yaml").write_text("A: {$ref: '#/B'}\nB: {type: integer}\n")
    given = {
        "openapi": "3.1.0",
        "paths": {"/a": {"$ref": "parts/a.yaml"}},
        "components": {"parameters": {"N": {"name": "n", "in": "query", "schema": {"const": "1"}}}},
    }
    (tmp_path / "api.json").write_text(json.dumps(given))
    policy = OpenAPI(tmp_path / "api.json")
    assert faults(policy) == []
    assert errors(policy, asked("POST", "/a?n=2", b'"x"')) == [
        {"parameter": "n", "in": "query", "detail": 'must be "1"'},
        {"pointer": "", "detail": "must be an integer"},
    ]


def test_clients_get_a_problem_with_all_errors() -> None:
    service, stub = open_service(
        name="orders", prefix="/api/v1/orders", policies=[OpenAPI(EXAMPLE)]
    )
    app = make_app(service)

    def post(body: Any, query: str = "") -> Answer:
        data = json.dumps(body).encode()
        return call(
            app, f"/api/v1/orders{query}", "POST", [("Content-Type", "application/json")], data
        )

    assert post(ORDER).status == 200
    assert json.loads(stub.requests[-1].body) == ORDER
    refusal = post({**ORDER, "lines": [{"product_id": "hunter2"}]})
    assert refusal.status == 400
    assert refusal.header("Content-Type") == ["application/problem+json"]
    assert refusal.json["code"] == "invalid_request"
    assert refusal.json["errors"] == [
        {"pointer": "/lines/0", "detail": 'must have the member "quantity"'},
        {"pointer": "/lines/0/product_id", "detail": "must be an integer"},
    ]
    assert call(app, "/api/v1/orders/seven").json["errors"] == [
        {"parameter": "order_id", "in": "path", "detail": "must be an integer"}
    ]
    unknown = call(app, "/api/v1/orders", "PUT")
    assert (unknown.status, unknown.header("Allow")) == (405, ["GET, HEAD, POST"])
    assert call(app, "/api/v1/orders/1/x").code == "not_found"
    assert isinstance(stub, StubTransport)
    assert len(stub.requests) == 1


def test_the_example_backend_has_what_the_document_describes(example: OpenAPI) -> None:
    for path in ("", "/1001", "/1001/refunds", "/1001/refunds/1"):
        refusal = refused(example, asked("TRACE", f"/api/v1/orders{path}"))
        allowed = dict(refusal.extra_headers)["Allow"]
        options = Request("OPTIONS", f"/api/v1/orders{path}", {}, Message(), b"", "")
        served = backend.answer(options).headers["Allow"].split(", ")
        assert allowed.split(", ") == [method for method in served if method != "OPTIONS"]

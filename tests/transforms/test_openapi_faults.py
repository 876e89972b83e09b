"""What is wrong with an OpenAPI document, or with how it is named, is told at start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import Retry
from gateway.policy import order_faults
from gateway.transforms import OpenAPI
from tests.transforms.openapi_documents import document
from tests.transforms.validation.asking import faults


def test_all_faults_of_a_document_are_told_together() -> None:
    given = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://example.com/mine",
        "servers": [{"url": "v1"}],
        "paths": {
            "/a/{id}": {
                "get": {"parameters": [{"name": "a", "in": "body"}]},
                "put": {"parameters": [{"name": "x", "in": "path", "schema": {}}]},
                "post": {
                    "requestBody": {"content": {"json": {"schema": {"type": "strin"}}}},
                    "parameters": [
                        {"name": "id", "in": "path", "style": "matrix", "schema": {}},
                        {"name": "q", "in": "query"},
                        {"$ref": "#/components/parameters/Missing"},
                        {"name": "r", "in": "query", "schema": {"$ref": "other.json"}},
                        {"name": "s", "in": "query", "schema": {"pattern": "["}},
                        {"name": "r", "in": "query", "schema": {"$ref": "other.json"}},
                        5,
                    ],
                },
                "patch": {"requestBody": {"required": True}},
            },
            "/b": {"$ref": "#/nothing"},
        },
    }
    told = faults(OpenAPI(given))
    for part in (
        "#/jsonSchemaDialect: 'https://example.com/mine' is not supported",
        "#/servers/0/url: it has no absolute path",
        "#/paths/~1a~1{id}/get/parameters/0: it needs a name, and in: path, query, header, cookie",
        "#/paths/~1a~1{id}/get: path variable 'id' has no parameter",
        "#/paths/~1a~1{id}/put: path variable 'x' is not in the path",
        "#/paths/~1a~1{id}/post/requestBody/content/json: 'json' is no media type",
        "#/paths/~1a~1{id}/post/parameters/0/style: 'matrix' is not supported here, but simple",
        "#/paths/~1a~1{id}/post/parameters/1: it needs a schema, or content of one media type",
        "post/parameters/2: $ref '#/components/parameters/Missing': there is no such place",
        "post/parameters/5/schema: $ref 'other.json': nothing is fetched",
        "post/parameters/4/schema/pattern",
        "post/parameters/5: 'r' is there twice",
        "post/parameters/6: it must be an object",
        "patch/requestBody: a request body needs content",
        "#/paths/~1b: $ref '#/nothing': there is no such place",
    ):
        assert any(part in one for one in told), part
    assert all(one.startswith("document: ") for one in told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"swagger": "2.0", "paths": {}}, "#/openapi: None must be 3.0.x or 3.1.x"),
        ({"openapi": "3.2.0", "paths": {}}, "#/openapi: '3.2.0' must be 3.0.x or 3.1.x"),
        ({"openapi": "3.1.0"}, "#/paths: there must be paths"),
        ({"openapi": "3.1.0", "paths": {"a": {"get": {}}}}, "path 'a': it must begin with a slash"),
    ],
)
def test_what_is_no_document_of_ours(given: dict[str, Any], told: str) -> None:
    (found,) = faults(OpenAPI(given))
    assert told in found


def test_paths_that_are_the_same_are_a_fault() -> None:
    def item(name: str) -> dict[str, Any]:
        return {"get": {"parameters": [{"name": name, "in": "path", "schema": {}}]}}

    (found,) = faults(
        OpenAPI({"openapi": "3.0.0", "paths": {"/a/{x}": item("x"), "/a/{y}": item("y")}})
    )
    assert "differs from another one only in the names of its variables" in found


def test_paths_are_told_of_with_the_rest() -> None:
    told = {"responses": {}, "parameters": [{"name": "q", "in": "query"}]}
    given = {
        "openapi": "3.1.0",
        "paths": {
            "/a/{id}": {"parameters": [{"name": "id", "in": "path", "schema": {}}], "get": told},
            "/a/{no}": {"parameters": [{"name": "no", "in": "path", "schema": {}}], "get": {}},
        },
    }
    unknown, parameter, path = faults(OpenAPI(given, unknown="x"))
    assert unknown == "unknown='x' must be 'refuse' or 'pass'"
    assert parameter.startswith("document: #/paths/~1a~1{id}/get/parameters/0: it needs a schema")
    assert path.startswith("document: #/paths/~1a~1{no}/get: path '/a/{no}': it differs from")


def test_options_that_make_no_sense_are_faults(tmp_path: Path) -> None:
    policy = OpenAPI(
        tmp_path / "none.json",
        prefix="v1",
        unknown="ignore",
        strict_query=5,  # type: ignore[arg-type]
        max_bytes="1",  # type: ignore[arg-type]
    )
    assert faults(policy) == [
        "prefix='v1' must be an absolute path",
        "unknown='ignore' must be 'refuse' or 'pass'",
        "strict_query=5 must be True or False",
        "max_bytes='1' must be 1 or more",
        "document: there is no file 'none.json'",
    ]
    assert faults(OpenAPI(document(), prefix=7)) == [  # type: ignore[arg-type]
        "prefix=7 must be an absolute path"
    ]
    assert faults(OpenAPI(tmp_path / "none.json")) == ["document: there is no file 'none.json'"]
    assert order_faults([Retry(), policy]) == [
        "OpenAPI works per request and must come before Retry"
    ]


def test_a_missing_package_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rules", "openapi_operations"):
        monkeypatch.delitem(sys.modules, f"gateway.transforms.validation.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert faults(OpenAPI(document())) == [
        "document: it needs jsonschema-rs: pip install .[openapi]"
    ]

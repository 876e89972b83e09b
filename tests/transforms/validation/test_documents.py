"""Documents of schemas: read from their folder, and from nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.transforms import JSONSchema, OpenAPI
from gateway.transforms.validation.documents import DocumentFault, Documents, Place
from gateway.transforms.validation.yaml_documents import MalformedYAML, read_yaml
from tests.transforms.validation.asking import asked, faults, wrong


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


class Listener:
    """Counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            self._socket.accept()[0].close()
        except OSError:
            return  # closed
        self.asked.set()

    def close(self) -> None:
        """Let it be."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def test_nothing_is_ever_fetched(tmp_path: Path) -> None:
    listener = Listener()
    url = f"{listener.url}/schema.json"
    elsewhere: dict[str, Any] = {"$ref": url}
    operation = {"parameters": [{"name": "a", "in": "query", "schema": elsewhere}]}
    api = {"openapi": "3.1.0", "paths": {"/a": {"get": operation, "post": {"$ref": url}}}}
    id_there = {"$id": url, "$ref": "other.json", "$schema": url}
    nested = {"$defs": {"a": {"$id": f"{listener.url}/b/", "$ref": "c.json"}}, "$ref": "#/$defs/a"}
    policies: list[JSONSchema | OpenAPI] = [
        OpenAPI(api),
        OpenAPI(written(tmp_path / "api.json", api)),
    ]
    schemas = (elsewhere, id_there, {"$schema": url}, nested, {"$dynamicRef": url})
    for number, schema in enumerate(schemas):
        policies.append(JSONSchema(schema))
        policies.append(JSONSchema(written(tmp_path / f"{number}.json", schema)))
    assert all(faults(policy) for policy in policies)
    unused = {"examples": [elsewhere], "default": elsewhere, "x-note": elsewhere}
    assert faults(JSONSchema(unused)) == []  # these are values, and no references
    assert not listener.asked.is_set()
    with socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0]))):
        assert listener.asked.wait(5)  # it would have been seen
    listener.close()


def test_files_beside_it_may_be_referred_to(tmp_path: Path) -> None:
    root = written(
        tmp_path / "orders.json",
        {"properties": {"a": {"$ref": "parts/a.json#/$defs/a"}, "b": {"$ref": "b.yaml"}}},
    )
    written(tmp_path / "parts" / "a.json", {"$defs": {"a": {"$ref": "../c.json"}}})
    written(tmp_path / "c.json", {"type": "integer"})
    written(tmp_path / "b.yaml", "type: boolean\n")
    policy = JSONSchema(root)
    assert faults(policy) == []
    request = asked(body={"a": "x", "b": 1})
    assert wrong(policy, request) == {"/a": "must be an integer", "/b": "must be a boolean"}


def test_an_absolute_id_stands_for_the_folder(tmp_path: Path) -> None:
    root = written(
        tmp_path / "orders.json",
        {
            "$id": "https://schemas.example/shop/orders.json",
            "properties": {"a": {"$ref": "a.json"}, "b": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"const": 1}},
        },
    )
    written(tmp_path / "a.json", {"$ref": "c.json"})
    written(tmp_path / "c.json", {"type": "integer"})
    policy = JSONSchema(root)
    assert faults(policy) == []
    request = asked(body={"a": "x", "b": 2})
    assert wrong(policy, request) == {"/a": "must be an integer", "/b": "must be 1"}


@pytest.mark.parametrize(
    "reference",
    ["../secret.json", "%2e%2e/secret.json", "link.json", "folder/../../secret.json", "{absolute}"],
)
def test_files_elsewhere_are_not_read(tmp_path: Path, reference: str) -> None:
    secret = written(tmp_path / "secret.json", {"const": "hunter2"})
    folder = tmp_path / "schemas"
    root = written(
        folder / "orders.json", {"$ref": reference.replace("{absolute}", secret.as_uri())}
    )
    (folder / "link.json").symlink_to(secret)
    (told,) = faults(JSONSchema(root))
    assert "the file lies outside of the document's folder" in told
    assert "hunter2" not in told


def test_all_faults_are_told_together(tmp_path: Path) -> None:
    root = written(
        tmp_path / "orders.json",
        {
            "type": "strin",
            "properties": {
                "a": {"$ref": "missing.json"},
                "b": {"$ref": "#/$defs/missing"},
                "c": {"$ref": "http://me:hunter2@schemas.test/c.json"},
                "d": {"pattern": "["},
                "e": {"$ref": "f.json"},
            },
        },
    )
    written(tmp_path / "f.json", {"minimum": "x"})
    told = "\n".join(faults(JSONSchema(root)))
    for part in (
        "orders.json#/properties/a: $ref 'missing.json': there is no file 'missing.json'",
        "orders.json#/properties/b: $ref '#/$defs/missing': there is no such place",
        "orders.json#/properties/c: $ref 'schemas.test/c.json': nothing is fetched",
        "orders.json#/properties/d/pattern",
        "orders.json#/type",
        "f.json#/minimum",
    ):
        assert part in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", None, "there is no file 'a.json'"),
        ("a.json", '{"a": 1, "a": 2}', "an object with two members of the same name"),
        ("a.json", "{", "not valid JSON at line 1"),
        ("a.yaml", "a: 1\nb: 2\na: 3\n", "'a' is there twice, line 3"),
        ("a.yml", "a: [\n", "not valid YAML"),
        ("a.yaml", "a: .nan\n", "JSON cannot say"),
        ("a.yaml", "a: &x [*x]\n", "not valid YAML"),
        ("a.yaml", "? [a]\n: 1\n", "a name is no text"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("a.yaml", "- 1\n", "a schema must be an object or a boolean"),
    ],
)
def test_files_that_are_no_documents(
    tmp_path: Path, name: str, text: str | None, told: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    (found,) = faults(JSONSchema(path))
    assert told in found


def test_a_folder_and_a_number_are_none(tmp_path: Path) -> None:
    assert "Is a directory" in faults(JSONSchema(tmp_path))[0]
    assert "must be a dict, or the path of a file" in faults(JSONSchema(5))[0]  # type: ignore[arg-type]


def test_yaml_is_read_as_json_has_it() -> None:
    text = "200: {a: 2024-01-01, b: yes, c: 1.5}\ntrue: null\nbase: &b {x: 1}\nall: {<<: *b, y: 2}"
    assert read_yaml(text) == {
        "200": {"a": "2024-01-01", "b": True, "c": 1.5},
        "true": None,
        "base": {"x": 1},
        "all": {"x": 1, "y": 2},
    }
    with pytest.raises(MalformedYAML):
        read_yaml("a: b: c")


def test_places_are_pointers() -> None:
    documents = Documents({"a/b": {"~": [10, 20]}})
    found = documents.find(documents.root.uri, "#/a~1b/~0/1")
    assert (found.value, found.pointer) == (20, "/a~1b/~0/1")
    for wrong_one in ("#/a~1b/~0/2", "#/a~1b/~0/-", "#/x", "#/a~1b/~0/1/0", "#name"):
        with pytest.raises(DocumentFault):
            documents.find(documents.root.uri, wrong_one)
    assert documents.root.child("a/b").pointer == "/a~1b"


def test_references_that_go_round_end() -> None:
    documents = Documents({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}})
    with pytest.raises(DocumentFault, match="do not end"):
        documents.followed(documents.root.child("a"))
    with pytest.raises(DocumentFault, match="must be text"):
        documents.followed(Place("file:///x", "", {"$ref": 5}))


def test_what_was_given_is_not_changed() -> None:
    schema = {"type": "object", "properties": {"a": {"format": "int32"}}}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    api = {"openapi": "3.0.3", "paths": {"/a": {"post": {"requestBody": body}}}}
    before = json.dumps(api)
    assert faults(OpenAPI(api)) == []
    assert json.dumps(api) == before

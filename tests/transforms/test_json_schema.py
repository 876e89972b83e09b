"""Requests whose JSON body must be as a schema says."""

from __future__ import annotations

import gc
import gzip
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from gateway import Handler, Retry, UpstreamRequest, UpstreamResponse
from gateway.errors import HeadFailed, Refusal
from gateway.policy import order_faults
from gateway.transforms import JSONSchema, RequestJSON
from tests.support.outline import answer, make_context
from tests.support.wsgi import call, make_app, open_service
from tests.transforms.validation.asking import asked, errors, faults, refused, sent, wrong

ORDER = {
    "type": "object",
    "required": ["user_id", "items"],
    "additionalProperties": False,
    "properties": {
        "user_id": {"type": "integer"},
        "note": {"type": "string", "maxLength": 20},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"quantity": {"type": "integer"}}},
        },
    },
}
GOOD = b'{ "user_id" : 1.0, "items":[{"quantity":2}],"note":"\\u00e9" }'
POLICY = JSONSchema(ORDER)


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_right_goes_on_byte_for_byte(chunked: bool) -> None:
    request = asked(body=GOOD, chunked=chunked)
    passed = POLICY.outlined(request)
    assert passed.headers == request.headers
    assert passed.body is not None
    assert passed.body.length == len(GOOD)
    assert sent(passed) == GOOD


def test_all_that_is_wrong_is_told_by_pointer() -> None:
    body = {"items": [{"quantity": "x"}, 5], "note": "n" * 30, "x/y": 1}
    refusal = refused(POLICY, asked(body=body))
    assert (refusal.code, refusal.slug) == (400, "invalid_body")
    assert refusal.description == "The request body does not match its schema."
    assert refusal.members == {
        "errors": [
            {"pointer": "", "detail": 'must have the member "user_id"'},
            {"pointer": "/x~1y", "detail": "is not known here"},
            {"pointer": "/note", "detail": "must have at most 20 characters"},
            {"pointer": "/items/0/quantity", "detail": "must be an integer"},
            {"pointer": "/items/1", "detail": "must be an object"},
        ]
    }


def test_more_than_fifty_are_counted() -> None:
    body = {"user_id": 1, "items": [1] * 60}
    refusal = refused(POLICY, asked(body=body))
    assert len(refusal.members["errors"]) == 50
    assert refusal.members["more"] == 10


def test_other_methods_pass_unread() -> None:
    for method in ("GET", "DELETE"):
        request = asked(method, body=b"{")
        assert POLICY.outlined(request) is request
    policy = JSONSchema(ORDER, methods=["delete"])
    assert errors(policy, asked("DELETE", body={}))
    request = asked("POST", body={})
    assert policy.outlined(request) is request


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_to_be_there(chunked: bool) -> None:
    without = asked(body=b"", chunked=chunked)
    refusal = refused(POLICY, without)
    assert (refusal.code, refusal.slug) == (400, "missing_body")
    assert refused(POLICY, asked()).slug == "missing_body"
    policy = JSONSchema(ORDER, required=False)
    assert sent(policy.outlined(asked(body=b"", chunked=chunked))) == b""
    request = asked()
    assert policy.outlined(request) is request


@pytest.mark.parametrize(
    "media", ["text/plain", "application/stream+json", "application/grpc+json", "", None]
)
def test_another_type_is_refused_unread(media: str | None) -> None:
    request = asked(body=GOOD, media=media)
    refusal = refused(POLICY, request)
    assert (refusal.code, refusal.slug) == (415, "unsupported_media_type")
    assert refusal.extra_headers == (("Accept", "application/json"),)
    assert sent(request) == GOOD


def test_types_may_be_chosen() -> None:
    policy = JSONSchema(ORDER, content_types=["application/vnd.shop+json"])
    assert sent(policy.outlined(asked(body=GOOD, media="application/vnd.shop+json"))) == GOOD
    refusal = refused(policy, asked(body=GOOD))
    assert refusal.extra_headers == (("Accept", "application/vnd.shop+json"),)
    assert sent(POLICY.outlined(asked(body=GOOD, media="application/vnd.shop+json"))) == GOOD


@pytest.mark.parametrize(
    ("body", "fields", "slug"),
    [
        (b"{", {}, "malformed_json"),
        (b'{"user_id":1,"user_id":"x","items":[]}', {}, "malformed_json"),
        (b'{"user_id":NaN}', {}, "malformed_json"),
        (b"[" * 129 + b"]" * 129, {}, "malformed_json"),
        (b"[" * 100_000, {}, "malformed_json"),
        (b'"\\ud800"', {}, "malformed_json"),
        (b'{"note":"\\udfff","user_id":1,"items":[]}', {}, "malformed_json"),
        (b'{"\\udfff":18446744073709551616}', {}, "malformed_json"),
        (b'{"user_id":1e400}', {}, "malformed_json"),
        (b'{"user_id":' + b"9" * 700 + b"}", {}, "malformed_json"),
        (GOOD, {"Content-Encoding": "gzip"}, "malformed_content_encoding"),
        (GOOD, {"Content-Encoding": "br"}, "unsupported_content_encoding"),
        (GOOD, {"content-type": "text/plain"}, "two_content_types"),
    ],
)
def test_what_cannot_be_judged_is_refused(body: bytes, fields: dict[str, str], slug: str) -> None:
    assert refused(POLICY, asked(body=body, fields=list(fields.items()))).slug == slug


def test_a_coded_body_is_judged_decoded_and_goes_on_coded() -> None:
    coded = gzip.compress(GOOD)
    request = asked(body=coded, fields=[("Content-Encoding", "gzip")])
    assert sent(POLICY.outlined(request)) == coded
    bad = asked(body=gzip.compress(b"{}"), fields=[("Content-Encoding", "gzip")])
    assert len(errors(POLICY, bad)) == 2
    bomb = asked(body=gzip.compress(b" " * 5_000_000), fields=[("Content-Encoding", "gzip")])
    assert refused(POLICY, bomb).slug == "body_too_large"


def test_size_is_bounded() -> None:
    policy = JSONSchema(ORDER, max_bytes=len(GOOD))
    assert sent(policy.outlined(asked(body=GOOD))) == GOOD
    for chunked in (False, True):
        refusal = refused(policy, asked(body=GOOD + b" ", chunked=chunked))
        assert (refusal.code, refusal.slug) == (413, "body_too_large")


@pytest.mark.parametrize("number", ["1.10", "1e2", "-0", "9" * 30, "9" * 600])
def test_numbers_are_judged_by_their_value(number: str) -> None:
    body = f'{{"n":{number}}}'.encode()
    below = JSONSchema({"properties": {"n": {"maximum": -1}}})
    assert list(wrong(below, asked(body=body))) == ["/n"]
    whole = JSONSchema({"properties": {"n": {"type": "number"}}})
    assert sent(whole.outlined(asked(body=body))) == body


def test_it_can_be_sent_again() -> None:
    tries = []

    def failing(request: UpstreamRequest) -> UpstreamResponse:
        tries.append(sent(request))
        if len(tries) == 1:
            raise HeadFailed
        return answer()

    retry = Retry(methods={"POST"}, replay_bytes=0, sleep=lambda seconds: None)
    chain: Handler = POLICY(retry.wrap(failing, make_context()))
    assert chain(asked(body=GOOD)).status == 200
    assert tries == [GOOD, GOOD]


def test_another_transform_reads_what_this_one_read() -> None:
    passed = RequestJSON(rename={"user_id": "user"}).outlined(POLICY.outlined(asked(body=GOOD)))
    assert sent(passed).startswith(b'{"user":1.0')


def test_a_path_is_a_file_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order.json").write_text('{"required": ["a"]}')
    policy = JSONSchema("order.json")
    assert faults(policy) == []
    (tmp_path / "order.json").unlink()  # read once
    assert list(wrong(policy, asked(body={}))) == [""]


def test_the_draft_is_the_schemas_own() -> None:
    schema: dict[str, Any] = {"items": [{"type": "null"}]}
    assert "#/items" in faults(JSONSchema(schema))[0]
    old = JSONSchema({"$schema": "http://json-schema.org/draft-07/schema#", **schema})
    assert wrong(old, asked(body=[1])) == {"/0": "must be null"}
    for name in ("http://json-schema.org/draft-03/schema#", "https://example.com/mine", 5):
        assert "is not supported" in faults(JSONSchema({"$schema": name, **schema}))[0]


def test_options_that_make_no_sense_are_faults() -> None:
    policy = JSONSchema(
        {"type": "nothing"},
        methods="POST",
        content_types=["json"],
        max_bytes=0,
        required="yes",  # type: ignore[arg-type]
    )
    assert faults(policy) == [
        "methods must be a collection of methods",
        "content_types must be a collection of media types",
        "max_bytes=0 must be 1 or more",
        "required='yes' must be True or False",
        *faults(JSONSchema({"type": "nothing"})),
    ]
    assert faults(JSONSchema({}, content_types=["text/xml"])) == [
        "content_types: text/xml is not JSON"
    ]
    assert len(faults(JSONSchema({"type": "nothing"}))) == 1
    assert order_faults([Retry(), POLICY]) == [
        "JSONSchema works per request and must come before Retry"
    ]


def test_a_missing_package_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gateway.transforms.validation.rules", raising=False)
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert faults(JSONSchema({})) == ["body: it needs jsonschema-rs: pip install .[schema]"]


def test_yaml_without_its_package_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("{}")
    monkeypatch.delitem(sys.modules, "gateway.transforms.validation.yaml_documents", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    (told,) = faults(JSONSchema(tmp_path / "a.yaml"))
    assert "needs PyYAML: pip install .[openapi]" in told


def test_clients_get_a_problem_with_all_errors() -> None:
    service, stub = open_service(policies=[POLICY])
    app = make_app(service)
    json = ("Content-Type", "application/json")
    assert call(app, "/things", "POST", [json], GOOD).status == 200
    assert stub.requests[-1].body == GOOD
    refusal = call(app, "/things", "POST", [json], b'{"user_id":"hunter2","items":[]}')
    assert refusal.status == 400
    assert refusal.header("Content-Type") == ["application/problem+json"]
    problem = refusal.json
    assert (problem["code"], problem["title"]) == ("invalid_body", "Bad Request")
    assert problem["errors"] == [{"pointer": "/user_id", "detail": "must be an integer"}]
    assert b"hunter2" not in refusal.body
    assert call(app, "/things", "POST", [json]).code == "missing_body"
    assert call(app, "/things").status == 200
    assert len(stub.requests) == 2


class Marked(str):
    """Can be seen to be gone."""

    __slots__ = ("__weakref__",)


def test_a_refusal_leaves_nothing_for_the_collector() -> None:
    def refusal(value: str) -> str:
        try:
            POLICY.outlined(asked(body={"user_id": "x", "y": 1}, fields=[("X-Marked", value)]))
        except Refusal as error:
            return error.slug
        return ""

    assert refusal("first") == "invalid_body"
    gc.collect()
    gc.disable()
    try:
        marked = Marked("one")
        gone = weakref.ref(marked)
        assert refusal(marked) == "invalid_body"
        del marked
        assert gone() is None
    finally:
        gc.enable()

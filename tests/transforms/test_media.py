"""Media types and charsets."""

from __future__ import annotations

import pytest

from gateway.content_codings import ContentError
from gateway.transforms.content_errors import MalformedJSON, UnknownCharset
from gateway.transforms.media import in_utf8, is_json, text_of

TEXT = "Ärger mit 10 €"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        " application/json ; charset=utf-8",
        "application/problem+json",
        "application/vnd.example.v2+JSON; x=y",
        "text/json",
    ],
)
def test_json(content_type: str) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "json", "text/plain", "application/jsonp", "application/json/x", "+json"),
        *("application/x-ndjson", "application/jsonl", "application/json-seq"),
        *("application/geo+json-seq", "application/stream+json", "text/event-stream"),
        *("application/grpc+json", "application/grpc-web+json", "application/connect+json"),
        *("application/json, text/plain", "text/plain; x=application/json"),
    ],
)
def test_not_json(content_type: str) -> None:
    assert not is_json(content_type)


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/json", TEXT.encode()),
        ("application/json", TEXT.encode("utf-8-sig")),
        ("application/json", TEXT.encode("utf-16")),
        ("application/json", TEXT.encode("utf-32")),
        ("application/json; charset=UTF-8", TEXT.encode("utf-8-sig")),
        ('application/json; charset="utf-8"; charset=UTF8', TEXT.encode()),
        ("application/json;charset=us-ascii", TEXT.encode()),
        ("application/json; charset=utf-16", TEXT.encode("utf-16-be")),
        ("application/json; charset=utf-16", b"\xff\xfe" + TEXT.encode("utf-16-le")),
        ("application/json; charset=utf-16", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("application/json; charset=UTF-16LE", TEXT.encode("utf-16-le")),
        ("application/json; charset=utf-32", TEXT.encode("utf-32")),
        ("application/json; charset=windows-1252", TEXT.encode("cp1252")),
    ],
)
def test_text(content_type: str, data: bytes) -> None:
    assert text_of(data, content_type) == TEXT


def test_latin_1() -> None:
    assert text_of(b"\xc4", "text/json; charset=ISO-8859-1") == "Ä"


@pytest.mark.parametrize("charset", ["utf-7", "idna", "x", "rot13", "", "utf-8; charset=latin1"])
def test_an_unusual_charset_is_not_guessed(charset: str) -> None:
    with pytest.raises(UnknownCharset):
        text_of(b"1", f"application/json; charset={charset}")


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/json", b"\xc4"),
        ("application/json", b'"\xed\xa0\x80"'),  # a surrogate
        ("application/json", b'"\xc0\xaf"'),  # not the shortest form
        ("application/json; charset=utf-8", TEXT.encode("utf-16")),
        ("application/json; charset=utf-16", b"\xff\xfea"),
    ],
)
def test_text_that_is_damaged(content_type: str, data: bytes) -> None:
    with pytest.raises(MalformedJSON):
        text_of(data, content_type)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("application/json", "application/json"),
        ("application/json; charset=utf-16; a=b", "application/json; charset=utf-8; a=b"),
        ('a/b+json;CharSet = "Latin1"', "a/b+json;CharSet = utf-8"),
    ],
)
def test_the_charset_that_is_told_is_the_one_that_is_sent(before: str, after: str) -> None:
    assert in_utf8(before) == after


def test_every_error_tells_both_sides() -> None:
    for kind in ContentError.__subclasses__():
        assert kind.status in (400, 413, 415)
        assert kind.slug
        assert kind.reason

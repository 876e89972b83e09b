"""Media types, charsets and content codings."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.transforms.content_errors import (
    BrokenCoding,
    ContentError,
    MalformedJSON,
    TooLarge,
    UnknownCharset,
    UnknownCoding,
)
from gateway.transforms.media import acceptable, decoded, in_utf8, is_json, text_of

LIMIT = 1000
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


def deflated(data: bytes) -> bytes:
    """Without zlib's own frame."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("", b"text"),
        ("identity", b"text"),
        ("gzip", gzip.compress(b"text", mtime=0)),
        ("X-GZip", gzip.compress(b"text", mtime=0)),
        ("gzip", gzip.compress(b"te", mtime=0) + gzip.compress(b"xt", mtime=0)),
        ("deflate", zlib.compress(b"text")),
        ("deflate", deflated(b"text")),
        ("deflate, gzip", gzip.compress(zlib.compress(b"text"), mtime=0)),
        ("gzip, ,identity", gzip.compress(b"text", mtime=0)),
    ],
)
def test_codings_are_taken_off(coding: str, data: bytes) -> None:
    assert decoded(data, coding, LIMIT) == b"text"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress", "gzip," * 4])
def test_a_coding_that_is_not_known(coding: str) -> None:
    with pytest.raises(UnknownCoding) as raised:
        decoded(b"text", coding, LIMIT)
    assert raised.value.fields == (("Accept-Encoding", "gzip, deflate"),)
    assert raised.value.status == 415


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"text"),
        ("gzip", gzip.compress(b"text", mtime=0)[:-1]),
        ("gzip", gzip.compress(b"text", mtime=0) + b"rest"),
        ("gzip", gzip.compress(b"text", mtime=0)[:-8] + bytes(8)),
        ("gzip", gzip.compress(b"", mtime=0) * 17),
        ("gzip", b""),
        ("deflate", b"text"),
        ("deflate", zlib.compress(b"text")[:-1]),
        ("deflate", zlib.compress(b"text") + b"rest"),
        ("gzip, gzip", gzip.compress(b"text", mtime=0)),
    ],
)
def test_content_that_is_damaged(coding: str, data: bytes) -> None:
    with pytest.raises(BrokenCoding):
        decoded(data, coding, LIMIT)


def test_what_is_decoded_is_bounded() -> None:
    assert decoded(gzip.compress(bytes(LIMIT)), "gzip", LIMIT) == bytes(LIMIT)
    bomb = gzip.compress(bytes(50_000_000))
    halves = gzip.compress(bytes(LIMIT // 2)) * 3
    for coding, data in (
        ("gzip", gzip.compress(bytes(LIMIT + 1))),
        ("gzip", bomb),
        ("gzip", halves),
        ("deflate", zlib.compress(bytes(LIMIT + 1))),
        ("gzip, gzip", gzip.compress(bomb, mtime=0)),
    ):
        with pytest.raises(TooLarge):
            decoded(data, coding, LIMIT)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("", "identity"),
        ("br", "identity"),
        ("*", "identity"),
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, GZIP;q=0.8 , *;q=0.1", "GZIP;q=0.8"),
        ("identity;q=0.5,x-gzip", "identity;q=0.5, x-gzip"),
    ],
)
def test_no_coding_is_asked_for_that_is_not_known(asked: str, wanted: str) -> None:
    assert acceptable(asked) == wanted


def test_every_error_tells_both_sides() -> None:
    for kind in ContentError.__subclasses__():
        assert kind.status in (400, 413, 415)
        assert kind.slug
        assert kind.reason

"""Content codings, taken off up to a bound."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.content_codings import BrokenCoding, TooLarge, UnknownCoding, acceptable, decoded

LIMIT = 1000


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

"""What a body is made of, by its fields: its media type, its charset and its content codings."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

from gateway.transforms.content_errors import (
    BrokenCoding,
    MalformedJSON,
    TooLarge,
    UnknownCharset,
    UnknownCoding,
)

_TYPE = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;|$)"
)
_CHARSET = re.compile(r"""(;[ \t]*charset[ \t]*=[ \t]*)("[^"]*"|[^;,"\s]*)""", re.IGNORECASE)

# Many texts, or framed ones, in spite of their names.
_STREAMS = frozenset({"application/connect+json", "application/stream+json"})
_FRAMED = "application/grpc"

# Charsets by the names that are in use. ASCII is part of UTF-8.
_CHARSETS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "latin-1"), "latin-1"),
    **dict.fromkeys(("windows-1252", "cp1252"), "cp1252"),
    **{name: name for name in ("utf-16le", "utf-16be", "utf-32le", "utf-32be")},
    **{name: name for name in ("utf-16", "utf-32")},
}
# What a text may begin with to say in which charset it is; the longest first.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32le"),
    (b"\x00\x00\xfe\xff", "utf-32be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16le"),
    (b"\xfe\xff", "utf-16be"),
)

_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS = 3
_MOST_MEMBERS = 16
_GZIP, _ZLIB, _RAW = 31, 15, -15


@lru_cache(256)
def is_json(content_type: str) -> bool:
    """Whether it is one JSON text: `application/json`, `text/json`, or a type ending in `+json`, as
    browsers have it (WHATWG MIME Sniffing, 4.6). Streams of texts are not: NDJSON, json-seq,
    event streams, gRPC. Remembers the last 256 types."""
    match = _TYPE.match(content_type)
    if match is None:
        return False
    essence = match[1].lower()
    if essence in ("application/json", "text/json"):
        return True
    return essence.endswith("+json") and essence not in _STREAMS and not essence.startswith(_FRAMED)


def in_utf8(content_type: str) -> str:
    """The media type of a text that is in UTF-8 now; a charset it does not name is not added."""
    return _CHARSET.sub(r"\1utf-8", content_type)


def text_of(data: bytes, content_type: str) -> str:
    """The text of a body, without a byte order mark. UTF-8, unless the type says otherwise, or the
    mark where it says nothing. Raises UnknownCharset, and MalformedJSON for what is none."""
    named = {found.strip('"').lower() for _, found in _CHARSET.findall(content_type)}
    charset = _charset(data, named)
    try:
        return data.decode(charset).removeprefix("\ufeff")
    except UnicodeDecodeError:
        shown = "UTF-8" if charset == "utf-8" else "its charset"
        raise MalformedJSON(f"not valid JSON: the text is not in {shown}") from None


def _charset(data: bytes, named: set[str]) -> str:
    marked = next((charset for mark, charset in _MARKS if data.startswith(mark)), "")
    if not named:
        return marked or "utf-8"
    known = {_CHARSETS.get(name, "") for name in named}
    if len(known) > 1 or "" in known:
        raise UnknownCharset("the charset is not supported: JSON is in UTF-8")
    charset = known.pop()
    if charset in ("utf-16", "utf-32"):  # without a mark, the first byte is the highest: RFC 2781
        return marked if marked.startswith(charset) else f"{charset}be"
    return charset


def decoded(data: bytes, content_encoding: str, limit: int) -> bytes:
    """A body without its content codings (RFC 9110 section 8.4), the outermost of which comes last.

    limit: the most bytes, also of what is between two codings. Raises UnknownCoding, TooLarge, and
    BrokenCoding for one that is cut short, damaged, or followed by something else.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if len(codings) > _MOST_CODINGS or not _CODINGS.keys() >= set(codings):
        raise UnknownCoding("the content coding is not supported: gzip and deflate are")
    for coding in reversed(codings):
        try:
            data = _inflated(data, _CODINGS[coding], limit)
        except zlib.error:
            raise BrokenCoding("the content is not what its Content-Encoding says") from None
    return data


def _inflated(data: bytes, coding: str, limit: int) -> bytes:
    if coding == "gzip":
        return _gunzipped(data, limit)
    # "deflate" is zlib's format; some send the bare one (RFC 9110 section 8.4.1.2).
    is_zlib = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    found, rest = _one(data, _ZLIB if is_zlib else _RAW, limit)
    if rest:
        raise BrokenCoding("something follows the compressed content")
    return found


def _gunzipped(data: bytes, limit: int) -> bytes:
    """All members of a gzip stream; usually there is one."""
    found = b""
    for _ in range(_MOST_MEMBERS):
        more, data = _one(data, _GZIP, limit - len(found))
        found += more
        if not data:
            return found
    raise BrokenCoding("the compressed content has too many parts")


def _one(data: bytes, form: int, limit: int) -> tuple[bytes, bytes]:
    """One compressed stream, and what follows it."""
    stream = zlib.decompressobj(form)
    found = stream.decompress(data, limit + 1)
    if len(found) > limit:
        raise TooLarge(f"the content is larger than {limit} bytes when decoded")
    if not stream.eof:
        raise BrokenCoding("the compressed content is cut short")
    return found, stream.unused_data


@lru_cache(256)
def acceptable(accept_encoding: str) -> str:
    """`Accept-Encoding`, less what cannot be decoded here; "identity" where nothing is left. An
    answer in another coding could not be changed. Remembers the last 256 values."""
    members = [member.strip() for member in accept_encoding.split(",")]
    known = _CODINGS.keys() | {"identity"}
    kept = [one for one in members if one.partition(";")[0].strip().lower() in known]
    return ", ".join(kept) or "identity"

"""What a body is made of, by its fields: its media type and its charset."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.transforms.content_errors import MalformedJSON, UnknownCharset

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

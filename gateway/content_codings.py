"""Content codings: bodies as they are without them, decoded up to a bound.

What it means that one cannot be read depends on whose body it is: a request is refused, an answer
is no use.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import ClassVar

_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS = 3
_MOST_MEMBERS = 16
_GZIP, _ZLIB, _RAW = 31, 15, -15


class ContentError(ValueError):
    """A body that cannot be read. The message names nothing of its content.

    status, slug: of the Refusal of a request. reason: of an answer's UnusableAnswer.
    """

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "malformed_content"
    reason: ClassVar[str] = "untransformable_response"
    #: What the refusal tells about what would be taken.
    fields: ClassVar[tuple[tuple[str, str], ...]] = ()


class TooLarge(ContentError):
    """Decoded, it is longer than it may be."""

    status = 413
    slug = "body_too_large"
    reason = "http_response_body_size"


class BrokenCoding(ContentError):
    """What its Content-Encoding says is not what it is."""

    slug = "malformed_content_encoding"
    reason = "http_response_content_coding"


class UnknownCoding(ContentError):
    """A Content-Encoding that is not known here; a 415 tells those that are (RFC 9110, 12.5.3)."""

    status = 415
    slug = "unsupported_content_encoding"
    reason = "http_response_content_coding"
    fields = (("Accept-Encoding", "gzip, deflate"),)


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

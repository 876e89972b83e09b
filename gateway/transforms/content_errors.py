"""Why a body cannot be taken as JSON. What it means depends on whose body it is: a request is
refused, an answer is no use."""

from __future__ import annotations

from typing import ClassVar


class ContentError(ValueError):
    """A body that cannot be taken as JSON. The message names nothing of its content.

    status, slug: of the Refusal of a request. reason: of an answer's UnusableAnswer.
    """

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "malformed_json"
    reason: ClassVar[str] = "untransformable_response"
    #: What the refusal tells about what would be taken.
    fields: ClassVar[tuple[tuple[str, str], ...]] = ()


class MalformedJSON(ContentError):
    """A text that is not JSON, or not to be trusted.

    line, column: where, from 1; 0 where that is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{message} at line {line}, column {column}" if line else message)
        self.line = line
        self.column = column


class UnknownCharset(ContentError):
    """Text in an encoding of characters that is not known here."""

    status = 415
    slug = "unsupported_charset"


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

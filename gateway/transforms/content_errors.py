"""Why a body cannot be taken as JSON, beside what is wrong with its content codings."""

from __future__ import annotations

from gateway.content_codings import ContentError


class MalformedJSON(ContentError):
    """A text that is not JSON, or not to be trusted.

    line, column: where, from 1; 0 where that is not known.
    """

    slug = "malformed_json"

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{message} at line {line}, column {column}" if line else message)
        self.line = line
        self.column = column


class UnknownCharset(ContentError):
    """Text in an encoding of characters that is not known here."""

    status = 415
    slug = "unsupported_charset"

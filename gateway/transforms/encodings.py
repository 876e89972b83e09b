"""Text as it may stand in a field, and in a query: nothing that a client says breaks either."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
# What must be encoded of a line: what is no printable character of ASCII.
_BROKEN_LINE = re.compile(r"[^ -~]")
# And of a word: what encodes, what parts the members of a list, and what parsers cut off at either
# end, too. As in X-User-ID, so that no two words become the same text.
_BROKEN_WORD = re.compile(r"[^ -~]|[%,\\]|^ | $")
_WORD = _VISIBLE.translate({ord(one): None for one in "%,\\"}) + " "
# What neither parts parameters nor is decoded; backends that part lists part them by a comma.
_PARAMETER = "/:@!$()*~"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a template is written.

    constant: what its author wrote. line: what came as a field's value or a path, one character for
    each byte. word: any other text.
    """

    constant: Callable[[str], str]
    line: Callable[[str], str]
    word: Callable[[str], str]


def _field_constant(text: str) -> str:
    return quote(text, safe=_VISIBLE + " ")


def _field_line(value: str) -> str:
    if _BROKEN_LINE.search(value) is None:
        return value
    return quote(_bytes(value), safe=_VISIBLE + " ")


def _field_word(value: str) -> str:
    if _BROKEN_WORD.search(value) is None:
        return value
    text = quote(value, safe=_WORD, errors="surrogatepass")
    rest = text.lstrip(" ")
    inner = rest.rstrip(" ")
    return "%20" * (len(text) - len(rest)) + inner + "%20" * (len(rest) - len(inner))


def _query_constant(text: str) -> str:
    return quote(text, safe=_PARAMETER + ",")


def _query_line(value: str) -> str:
    return quote(_bytes(value), safe=_PARAMETER)


def _query_word(value: str) -> str:
    return quote(value, safe=_PARAMETER, errors="surrogatepass")


def _bytes(value: str) -> bytes:
    """The bytes that a line came as; UTF-8 of one that did not come over the wire."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


#: Into a field's value: what is readable stays as it is, all else is percent-encoded as UTF-8.
FIELD = Encoding(_field_constant, _field_line, _field_word)
#: Into a parameter of a query, percent-encoded.
QUERY = Encoding(_query_constant, _query_line, _query_word)

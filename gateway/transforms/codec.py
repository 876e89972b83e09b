"""JSON read and written without loss.

Numbers are written as they were read: what a float or a 64-bit integer cannot hold keeps its text.
Members keep their order, lone surrogates survive. Refused is what RFC 8259 does not allow (`NaN`,
`Infinity`), what is nested deeper than `MAX_DEPTH`, and on request a name that an object has twice,
of which two parsers need not take the same one.

Python's own parser is used: orjson rounds numbers, cannot tell of repeated names and refuses lone
surrogates. To write, orjson is ten times as fast, and takes numbers as text.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

import orjson

from gateway.json_depth import MAX_DEPTH, too_deep
from gateway.transforms.content_errors import MalformedJSON

#: None, bool, int, float, str, or a list or dict of such.
JSON: TypeAlias = Any

# Integers that are written as they are: orjson has 64 bits.
_PLAIN_DIGITS = 18
# int() may refuse longer ones (sys.set_int_max_str_digits): it takes the square of their length.
_INT_DIGITS = 640


class WrittenFloat(float):
    """A number whose text says more than its float does, such as 1.10 or 1e400."""

    __slots__ = ("text",)
    text: str


class WrittenInt(int):
    """An integer of more than 64 bits, with its text."""

    text: str


def loads(text: str, *, unique: bool = False, exact: bool = True) -> JSON:
    """The value of a JSON text. unique: refuse an object that has a name twice; otherwise the last
    one counts. exact: keep the text of numbers that floats cannot hold; otherwise all are plain
    floats and integers, for who looks at them and does not write them, and those that are beyond
    all floats are refused. Raises MalformedJSON."""
    try:
        value = _DECODERS[unique, exact].decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJSON("not valid JSON", error.lineno, error.colno) from None
    except RecursionError:
        raise _too_deep() from None
    if too_deep(text, value):
        raise _too_deep()
    return value


def dumps(value: JSON) -> bytes:
    """The JSON text of a value that `loads` gave, or that is made of such, in UTF-8 and without
    white space. Raises TypeError for one of another type."""
    try:
        return orjson.dumps(value, _as_written, orjson.OPT_PASSTHROUGH_SUBCLASS)
    except orjson.JSONEncodeError:  # a lone surrogate, or something very deep or large
        return _text(value).encode()


def _too_deep() -> MalformedJSON:
    return MalformedJSON(f"more than {MAX_DEPTH} arrays and objects inside of one another")


def _float(text: str) -> float:
    value = float(text)
    if repr(value) == text:
        return value
    written = WrittenFloat(value)
    written.text = text
    return written


def _int(text: str) -> int | float:
    if len(text) <= _PLAIN_DIGITS:
        return int(text) if text != "-0" else _float(text)
    if len(text) > _INT_DIGITS:
        return _float(text)  # infinite, but for its text
    written = WrittenInt(text)
    written.text = text
    return written


def _constant(text: str) -> float:
    raise MalformedJSON("NaN or Infinity, which are not valid JSON")


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJSON("an object with two members of the same name")
    return members


def _plain_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise MalformedJSON("with a number that is too large")
    return value


def _plain_int(text: str) -> int | float:
    return int(text) if len(text) <= _INT_DIGITS else _plain_float(text)


_DECODERS = {
    (unique, exact): json.JSONDecoder(
        parse_float=_float if exact else _plain_float,
        parse_int=_int if exact else _plain_int,
        parse_constant=_constant,
        object_pairs_hook=_object if unique else None,
    )
    for unique in (False, True)
    for exact in (False, True)
}


def _as_written(value: object) -> orjson.Fragment:
    if isinstance(value, WrittenFloat | WrittenInt):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _text(value: JSON) -> str:
    """What orjson would not write; lone surrogates are escaped."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, WrittenFloat | WrittenInt):
        return value.text
    return json.dumps(value, allow_nan=False)


__all__ = ["JSON", "MalformedJSON", "dumps", "loads"]

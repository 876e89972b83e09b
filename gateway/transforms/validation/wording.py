"""What a value must be like by a keyword of its schema, told to who sent it.

The contract is told, and nothing of what was sent: it may be secret, and as long as a body may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from gateway.transforms.validation.documents import escaped

#: Most characters of what is told, and of the pointer to where.
LONGEST = 200

UNKNOWN = "is not known here"
FORBIDDEN = "is not allowed here"
NO_FORM = "has none of the forms that are allowed"
MANY_FORMS = "has more than one of the forms that exclude each other"
WRONG_FORM = "is of a form that is not allowed"
NO_ITEMS = "does not have the items it must have"
#: Of what is wrong in a way that cannot be told in a few words.
OTHERWISE = "is not as its schema says"


def missing(name: str) -> str:
    """A member is not there."""
    return cut(f"must have the member {_json(name)}")


def of_name(what: str) -> str:
    """The name of a member is wrong."""
    return cut(f"the name of a member {what}")


def told(keyword: str, asked: Any) -> str:
    """What a keyword, one of those of `TOLD`, asks for."""
    return cut(TOLD[keyword](asked))


def pointer(path: Sequence[str | int]) -> str:
    """A path as a JSON pointer (RFC 6901), cut short if need be: names may be of any length."""
    return cut("".join([f"/{escaped(str(part))}" for part in path]))


def cut(text: str) -> str:
    """A text that is not too long to be told."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return str(value)


def _types(asked: Any) -> str:
    names = [asked] if isinstance(asked, str) else asked
    return "must be " + " or ".join(map(_with_article, names))


def _with_article(name: str) -> str:
    if name == "null":
        return name
    return f"an {name}" if name[0] in "aio" else f"a {name}"


def _one_of(asked: Any) -> str:
    # No more than can be shown: a list of choices may be long.
    return "must be one of " + ", ".join(_json(each) for each in asked[:LONGEST])


def _counted(many: str, what: str) -> Callable[[Any], str]:
    return lambda asked: f"must have {many} {asked} {what if asked == 1 else what + 's'}"


def _limit(how: str) -> Callable[[Any], str]:
    return lambda asked: f"must be {how} {_json(asked)}"


#: The keywords that ask something of a value without looking at its parts.
TOLD: dict[str, Callable[[Any], str]] = {
    "type": _types,
    "enum": _one_of,
    "const": lambda asked: f"must be {_json(asked)}",
    "minimum": _limit("at least"),
    "maximum": _limit("at most"),
    "exclusiveMinimum": _limit("above"),
    "exclusiveMaximum": _limit("below"),
    "multipleOf": _limit("a multiple of"),
    "minLength": _counted("at least", "character"),
    "maxLength": _counted("at most", "character"),
    "pattern": lambda asked: f"must match the pattern {asked}",
    "format": lambda asked: f"must have the format {asked}",
    "minItems": _counted("at least", "item"),
    "maxItems": _counted("at most", "item"),
    "uniqueItems": lambda asked: "must not have an item twice",
    "minProperties": _counted("at least", "member"),
    "maxProperties": _counted("at most", "member"),
}

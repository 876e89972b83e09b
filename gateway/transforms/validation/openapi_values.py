"""Values as they stand in paths, queries, fields and cookies, read as JSON values by their schema
(OpenAPI, Parameter Object, Style Values)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.transforms.validation.documents import DocumentFault, Documents, Place

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,639})", re.ASCII)
_NUMBER = re.compile(
    r"-?(?:0|[1-9][0-9]{0,639})(?:\.[0-9]{1,640})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_BOOLEANS = {"true": True, "false": False}
# How deep schemas are looked into for what a value is: an array of numbers has a depth of two.
_DEEPEST = 6


class Unreadable(ValueError):
    """A value that its style does not allow. The message says what it must be."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be. kinds: types of JSON; empty where a schema does not say. items: of an
    array. members: of an object, by name."""

    kinds: frozenset[str] = frozenset()
    items: Shape | None = None
    members: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def of(self) -> str:
        """How to read it: array, object or plain. One that may be plain, too, is."""
        for kind in ("array", "object"):
            if kind in self.kinds and not self.kinds - {kind, "null"}:
                return kind
        return "plain"


def shape_of(place: Place, documents: Documents, depth: int = 0) -> Shape:
    """What a schema lets a value be; references that lead nowhere say nothing."""
    try:
        place = documents.followed(place)
    except DocumentFault:
        return Shape()
    kinds = _told_kinds(place)
    items: Shape | None = None
    members: dict[str, Shape] = {}
    if depth < _DEEPEST:
        if isinstance(place.get("items"), dict):
            items = shape_of(place.child("items"), documents, depth + 1)
        if isinstance(place.get("properties"), dict):
            for name, member in place.child("properties").members():
                members[name] = shape_of(member, documents, depth + 1)
        for other in _alternatives(place):
            shape = shape_of(other, documents, depth + 1)
            kinds |= shape.kinds
            items = items or shape.items
            members = {**shape.members, **members}
    return Shape(frozenset(kinds), items, members)


def _told_kinds(place: Place) -> set[str]:
    told = place.get("type")
    if isinstance(told, str):
        return {told}
    if isinstance(told, list):
        return {kind for kind in told if isinstance(kind, str)}
    values = list(place.get("enum") or ()) if isinstance(place.get("enum"), list) else []
    if "const" in (place.value if isinstance(place.value, dict) else ()):
        values.append(place.get("const"))
    return {_kind(value) for value in values}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return name
    return "array" if isinstance(value, list) else "object"


def _alternatives(place: Place) -> list[Place]:
    found: list[Place] = []
    for name in ("allOf", "anyOf", "oneOf"):
        if isinstance(place.get(name), list):
            found += place.child(name).items()
    return found


def decoded(raw: str, *, plus: bool = False) -> str:
    """A percent-encoded text. plus: as forms write it, with `+` for a space. Raises Unreadable."""
    if plus:
        raw = raw.replace("+", " ")
    if "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Unreadable("must be percent-encoded UTF-8") from None


def plain(text: str, shape: Shape | None) -> Any:
    """A text as what its schema asks for, if it can be that; as text otherwise, which the schema
    then refuses."""
    kinds = shape.kinds if shape is not None else frozenset[str]()
    if "integer" in kinds and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return int(text) if _INTEGER.fullmatch(text) else value
    if "boolean" in kinds and text in _BOOLEANS:
        return _BOOLEANS[text]
    if "null" in kinds and not text and "string" not in kinds:
        return None
    return text


def array(texts: Sequence[str], shape: Shape) -> list[Any]:
    """The items of an array."""
    return [plain(text, shape.items) for text in texts]


def members(pairs: Sequence[tuple[str, str]], shape: Shape) -> dict[str, Any]:
    """The members of an object. Raises Unreadable for one that is there twice."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise Unreadable("must not have a member twice")
        found[name] = plain(text, shape.members.get(name))
    return found


def paired(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of an object written as `name,value,name,value`. Raises Unreadable."""
    if len(texts) % 2:
        raise Unreadable("must be pairs of a name and a value")
    return list(zip(texts[::2], texts[1::2], strict=True))


def assigned(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of an object written as `name=value,name=value`. Raises Unreadable."""
    parts = [text.partition("=") for text in texts]
    if not all(sign for _, sign, _ in parts):
        raise Unreadable("must be pairs of a name and a value, as name=value")
    return [(name, value) for name, _, value in parts]

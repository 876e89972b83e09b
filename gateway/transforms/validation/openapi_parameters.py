"""Parameters of an operation: where each stands in a request, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from gateway.exchange import UpstreamRequest
from gateway.transforms.codec import loads
from gateway.transforms.content_errors import MalformedJSON
from gateway.transforms.json_bodies import values_of
from gateway.transforms.validation.judging import check_text
from gateway.transforms.validation.openapi_values import (
    Shape,
    Unreadable,
    array,
    assigned,
    decoded,
    members,
    paired,
    plain,
)

if TYPE_CHECKING:
    from gateway.transforms.validation.rules import Rules

#: The styles that are read here, by where a parameter stands; the usual one first.
STYLES: Mapping[str, tuple[str, ...]] = {
    "path": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_SEPARATORS = {
    "form": re.compile(","),
    "spaceDelimited": re.compile(r"%20|\+"),
    "pipeDelimited": re.compile(r"\||%7[cC]"),
}
#: A violation, as the client is told it.
Told = dict[str, str]


class Sent:
    """What a request has of parameters, each part looked at once."""

    __slots__ = ("_cookies", "_query", "path", "request")

    def __init__(self, request: UpstreamRequest, path: Mapping[str, str]) -> None:
        self.request = request
        self.path = path
        self._query: dict[str, list[str]] | None = None
        self._cookies: dict[str, list[str]] | None = None

    @property
    def query(self) -> Mapping[str, list[str]]:
        """Its parameters, still percent-encoded, by name."""
        if self._query is None:
            self._query = {}
            for pair in self.request.target.partition("?")[2].split("&"):
                if pair:
                    name, _, value = pair.partition("=")
                    self._query.setdefault(unquote_plus(name), []).append(value)
        return self._query

    @property
    def cookies(self) -> Mapping[str, list[str]]:
        """Its cookies as they were sent (RFC 6265 section 4.2.1), by name."""
        if self._cookies is None:
            self._cookies = {}
            for line in values_of(self.request.headers, "cookie"):
                for pair in line.split(";"):
                    name, sign, value = pair.strip().partition("=")
                    if sign:
                        self._cookies.setdefault(name.rstrip(), []).append(value.strip())
        return self._cookies


#: The value of a parameter; None if it was not sent. Raises Unreadable.
Reader = Callable[[Sent], Any]
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. where: path, query, header or cookie. rules: None for anything. takes: the
    names in a query that are its own; prefix: what all of them begin with, empty for no others."""

    name: str
    where: str
    required: bool
    allow_empty: bool
    read: Reader
    rules: Rules | None
    takes: frozenset[str] = frozenset()
    prefix: str = ""

    def violations(self, sent: Sent) -> list[Told]:
        """What is wrong with what was sent of it."""
        try:
            value = self.read(sent)
        except Unreadable as error:
            return [self._told("", str(error))]
        if value is _ABSENT:
            return [self._told("", "is missing")] if self.required else []
        if self.rules is None or (self.allow_empty and value == ""):
            return []
        if self.rules.valid(value):
            return []
        found = self.rules.violations(value)
        return [self._told(where, what) for where, what in found.errors]

    def _told(self, where: str, what: str) -> Told:
        told = {"parameter": self.name, "in": self.where}
        if where:
            told["pointer"] = where
        return {**told, "detail": what}


def reader(name: str, where: str, style: str, explode: bool, shape: Shape) -> Reader:
    """How a parameter is read that has a schema."""
    if where == "query":
        if style == "deepObject":
            return _deep(name, shape)
        return _query(name, style, explode, shape)
    if where == "cookie":
        return _cookie(name, explode, shape)
    take = _simple(explode, shape)
    if where == "path":
        return lambda sent: take(sent.path[name], decoded)

    def read_field(sent: Sent) -> Any:
        values = values_of(sent.request.headers, name.lower())
        return take(",".join(values), str.strip) if values else _ABSENT

    return read_field


def json_reader(name: str, where: str) -> Reader:
    """How a parameter is read whose content is JSON."""
    take = reader(name, where, STYLES[where][0], explode=False, shape=Shape(frozenset({"string"})))

    def read(sent: Sent) -> Any:
        text = take(sent)
        if text is _ABSENT:
            return text
        try:
            value = loads(text, unique=True, exact=False)
            check_text(value)
        except MalformedJSON as error:
            raise Unreadable(f"is {error}") from None
        except UnicodeEncodeError:
            raise Unreadable("has half of a surrogate pair") from None
        return value

    return read


def _simple(explode: bool, shape: Shape) -> Callable[[str, Callable[[str], str]], Any]:
    kind = shape.of

    def take(raw: str, clean: Callable[[str], str]) -> Any:
        if kind == "plain":
            return plain(clean(raw), shape)
        texts = [clean(part) for part in raw.split(",")] if raw else []
        if kind == "array":
            return array(texts, shape)
        return members(assigned(texts) if explode else paired(texts), shape)

    return take


def _query(name: str, style: str, explode: bool, shape: Shape) -> Reader:
    kind = shape.of
    if kind == "object" and explode and style == "form":
        return _spread(shape)
    separator = _SEPARATORS[style]

    def read(sent: Sent) -> Any:
        found = sent.query.get(name)
        if found is None:
            return _ABSENT
        if kind == "array" and explode:
            return array(_texts(found), shape)
        raw = _single(found)
        if kind == "plain":
            return plain(decoded(raw, plus=True), shape)
        texts = _texts(separator.split(raw)) if raw else []
        return array(texts, shape) if kind == "array" else members(paired(texts), shape)

    return read


def _spread(shape: Shape) -> Reader:
    """An object whose members are parameters of their own."""

    def read(sent: Sent) -> Any:
        query = sent.query
        pairs = [(each, _single(query[each])) for each in shape.members if each in query]
        if not pairs:
            return _ABSENT
        return members([(each, decoded(raw, plus=True)) for each, raw in pairs], shape)

    return read


def _deep(name: str, shape: Shape) -> Reader:
    """An object as `name[member]=value`."""
    begin = f"{name}["

    def read(sent: Sent) -> Any:
        pairs: list[tuple[str, str]] = []
        for each, found in sent.query.items():
            if each.startswith(begin) and each.endswith("]"):
                pairs.append((each[len(begin) : -1], decoded(_single(found), plus=True)))
        return members(pairs, shape) if pairs else _ABSENT

    return read


def _cookie(name: str, explode: bool, shape: Shape) -> Reader:
    take = _simple(explode, shape)

    def read(sent: Sent) -> Any:
        found = sent.cookies.get(name)
        return _ABSENT if found is None else take(_single(found), decoded)

    return read


def _single(found: Sequence[str]) -> str:
    """The only value: of several, a backend might take another one than is looked at."""
    if len(found) > 1:
        raise Unreadable("must not be there more than once")
    return found[0]


def _texts(found: Sequence[str]) -> list[str]:
    return [decoded(raw, plus=True) for raw in found]

"""Which path template a path belongs to (OpenAPI, Path Templating Matching).

Segments count as they are decoded. What is written out wins over what is a variable, from left to
right: `/orders/mine` over `/orders/{id}`, and `/orders/{id}.pdf` over that, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar
from urllib.parse import quote, unquote_to_bytes

T = TypeVar("T")

_PART = re.compile(r"\{([^{}/]*)\}|([^{}]+)")
# The value of a variable is never empty, and goes on to the next literal text.
_VALUE = "(.+?)"


class PathFault(ValueError):
    """What is wrong with a template."""


class Paths(Generic[T]):
    """Values by path template."""

    def __init__(self) -> None:
        self._first: _Node[T] = _Node()

    def at(self, template: str, made: T) -> T:
        """The value at a template; `made`, if there is none. Raises PathFault."""
        if not template.startswith("/"):
            raise PathFault("it must begin with a slash")
        node = self._first
        names: list[str] = []
        for segment in template.split("/")[1:]:
            node = node.below(segment, names)
        if len(set(names)) != len(names):
            raise PathFault("a variable is there twice")
        if node.value is None:
            node.value, node.names = made, tuple(names)
        elif node.names != tuple(names):
            raise PathFault("it differs from another one only in the names of its variables")
        return node.value

    def find(self, path: str) -> tuple[T, Mapping[str, str]] | None:
        """The value for a path and its variables, still percent-encoded; None for none."""
        segments = path.split("/")[1:]
        try:
            texts = [unquote_to_bytes(one).decode() if "%" in one else one for one in segments]
        except UnicodeDecodeError:
            return None
        values: list[str] = []
        node = self._first.find(segments, texts, 0, values)
        if node is None or node.value is None:
            return None
        return node.value, dict(zip(node.names, values, strict=True))


class _Node(Generic[T]):
    """What may follow some segments of a path."""

    __slots__ = ("_literal", "_mixed", "_variable", "names", "value")

    def __init__(self) -> None:
        self._literal: dict[str, _Node[T]] = {}
        self._mixed: dict[str, tuple[re.Pattern[str], _Node[T]]] = {}
        self._variable: _Node[T] | None = None
        self.names: tuple[str, ...] = ()
        self.value: T | None = None

    def below(self, segment: str, names: list[str]) -> _Node[T]:
        """The node of one segment more; the names of its variables are added."""
        parts = _PART.findall(segment)
        if "".join(text or f"{{{name}}}" for name, text in parts) != segment:
            raise PathFault(f"{segment!r} has braces that are not a variable")
        found = [name for name, text in parts if not text]
        if not all(found):
            raise PathFault("a variable has no name")
        names += found
        if not found:
            literal = unquote_to_bytes(segment).decode(errors="replace")
            return self._literal.setdefault(literal, _Node())
        if len(parts) == 1:
            self._variable = self._variable or _Node()
            return self._variable
        form = "".join(re.escape(text) if text else _VALUE for _, text in parts)
        if form not in self._mixed:
            self._mixed[form] = re.compile(form, re.DOTALL), _Node()
        return self._mixed[form][1]

    def find(
        self, segments: list[str], texts: list[str], index: int, values: list[str]
    ) -> _Node[T] | None:
        """The node of the segments from `index` on, with the values on the way there."""
        if index == len(segments):
            return None if self.value is None else self
        literal = self._literal.get(texts[index])
        if literal is not None:
            found = literal.find(segments, texts, index + 1, values)
            if found is not None:
                return found
        for pattern, node in self._mixed.values():
            match = pattern.fullmatch(texts[index])
            if match is not None:
                parts = [quote(part, safe="") for part in match.groups()]
                found = node._further(segments, texts, index, values, parts)
                if found is not None:
                    return found
        if self._variable is not None and segments[index]:
            return self._variable._further(segments, texts, index, values, [segments[index]])
        return None

    def _further(
        self,
        segments: list[str],
        texts: list[str],
        index: int,
        values: list[str],
        parts: list[str],
    ) -> _Node[T] | None:
        """As `find`, with these values; they are taken back where that leads nowhere."""
        known = len(values)
        values += parts
        found = self.find(segments, texts, index + 1, values)
        if found is None:
            del values[known:]
        return found

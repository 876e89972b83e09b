"""Every schema that can be reached from some, made ready, and what is wrong with the references."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urldefrag, urljoin

from gateway.transforms.validation.documents import DocumentFault, Documents, Place, shown

_ONE = (
    *("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if"),
    *("items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_LISTS = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_MAPS = (
    *("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties"),
    "properties",
)

#: Changes a schema, which is an object, before it is used.
Prepare = Callable[[Place], None]


class Reached:
    """The schemas reached from those entered.

    prepare: called once with each, parents first. `faults` are references that lead nowhere.
    `entered` are those that were entered, or that a reference leads to, each once. `targets` is
    what the `$ref` of a schema leads to, by the schema's id, which it keeps while this is there.
    """

    def __init__(self, documents: Documents, prepare: Prepare | None = None) -> None:
        self._documents = documents
        self._prepare = prepare
        self._seen: set[int] = set()
        self.entered: list[Place] = []
        self.targets: dict[int, Any] = {}
        self.faults: list[str] = []

    def enter(self, place: Place) -> None:
        """Go through a schema, and through all that it leads to."""
        waiting = deque([place])
        while waiting:
            place = waiting.popleft()
            if isinstance(place.value, dict) and id(place.value) in self._seen:
                continue
            self.entered.append(place)
            waiting += self._inside(place)

    def _inside(self, entry: Place) -> list[Place]:
        """Go through one schema; what its references lead to."""
        found: list[Place] = []
        base = _base(entry)
        waiting = deque([entry])
        while waiting:
            place = waiting.popleft()
            schema = place.value
            if not isinstance(schema, dict) or id(schema) in self._seen:
                continue
            self._seen.add(id(schema))
            if place is not entry and isinstance(schema.get("$id"), str):
                continue  # a resource of its own: whoever compiles it finds its references
            if self._prepare is not None:
                self._prepare(place)
            reference = schema.get("$ref")
            if isinstance(reference, str):
                found += self._led_to(place, base, reference)
            waiting += subschemas(place)
        return found

    def _led_to(self, place: Place, base: str, reference: str) -> list[Place]:
        absolute = urljoin(base, reference)
        uri, fragment = urldefrag(absolute)
        if uri == base:  # by a name that need not be the file's
            absolute = f"{place.uri}#{fragment}"
        if fragment and not fragment.startswith("/"):  # an anchor: whoever compiles it finds it
            absolute, anchor = urldefrag(absolute)[0], True
        else:
            anchor = False
        try:
            target = self._documents.find(place.uri, absolute)
        except DocumentFault as error:
            self.faults.append(f"{place.label}: $ref {shown(reference)!r}: {error}")
            return []
        if anchor:
            return []
        self.targets[id(place.value)] = target.value
        return [target]


def _base(entry: Place) -> str:
    """What references are relative to: the document's place, or what its root says."""
    told = entry.get("$id") if not entry.pointer else None
    return urldefrag(urljoin(entry.uri, told))[0] if isinstance(told, str) else entry.uri


def subschemas(place: Place) -> Iterator[Place]:
    """The schemas directly inside of one, in whatever shape it is."""
    for name in _ONE:
        if isinstance(place.get(name), dict):
            yield place.child(name)
    for name in _LISTS:
        if isinstance(place.get(name), list):
            yield from place.child(name).items()
    for name in _MAPS:
        if isinstance(place.get(name), dict):
            yield from (member for _, member in place.child(name).members())

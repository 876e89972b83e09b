"""Fields taken out, renamed and written, as options say: names compared without case, the order of
what stays kept, and repeated fields apart."""

from __future__ import annotations

from collections.abc import Set

from gateway.exchange import Headers, UpstreamRequest, UpstreamResponse
from gateway.headers import named_in_connection
from gateway.transforms.editing import Plan

# Framing, and what means the connection itself.
_STAYING = frozenset({"close", "content-length", "content-type", "keep-alive", "transfer-encoding"})


class FieldEdit:
    """A plan made ready to be worked off; what is not in it costs nothing."""

    __slots__ = ("_add", "_append", "_constants", "_first", "_rename", "_replaced", "_set")

    def __init__(self, plan: Plan) -> None:
        self._rename = {old.lower(): new for old, new in plan.rename.items()}
        removed = frozenset(name.lower() for name in plan.remove)
        replaced = frozenset(name.lower() for name, _ in plan.set)
        # What is renamed makes room before it is set; otherwise one look at all fields is enough.
        self._first = removed if self._rename else removed | replaced
        self._replaced = replaced if self._rename else frozenset[str]()
        self._constants = [
            (name, one.constant) for name, one in plan.set if one.constant is not None
        ]
        self._set = [(name, one) for name, one in plan.set if one.constant is None]
        self._add = [(name.lower(), name, one) for name, one in plan.add]
        self._append = plan.append

    def __call__(
        self, fields: Headers, request: UpstreamRequest, response: UpstreamResponse | None
    ) -> Headers:
        """The fields as they are then, in a list of its own.

        What comes out empty, and is not meant to be, is not written: what it was to replace is gone
        all the same, or the sender's own would stand for it.
        """
        fields = _without(fields, self._first) if self._first else [*fields]
        if self._rename:
            fields = _without(self._renamed(fields), self._replaced)
        fields += self._constants
        for name, template in self._set:
            if value := template.render(request, response):
                fields.append((name, value))
        if self._add:
            fields = self._added(fields, request, response)
        for name, template in self._append:
            value = template.render(request, response)
            if value or template.constant is not None:
                fields.append((name, value))
        return fields

    def _renamed(self, fields: Headers) -> Headers:
        """With new names; a field that had one of those before is replaced, so that what it says
        has one meaning."""
        lowered = [name.lower() for name, _ in fields]
        found = self._rename.keys() & lowered
        if not found:
            return fields
        replaced = {self._rename[old].lower() for old in found}
        return [
            (self._rename.get(lower, name), value)
            for lower, (name, value) in zip(lowered, fields, strict=True)
            if lower not in replaced
        ]

    def _added(
        self, fields: Headers, request: UpstreamRequest, response: UpstreamResponse | None
    ) -> Headers:
        """With what was not there. An empty field is not there: caches take the two for one."""
        there = {name.lower() for name, value in fields if value}
        for lower, name, template in self._add:
            if lower not in there:
                value = template.render(request, response)
                if value or template.constant is not None:
                    fields = _without(fields, {lower})
                    fields.append((name, value))
        return fields


def _without(fields: Headers, names: Set[str]) -> Headers:
    return [field for field in fields if field[0].lower() not in names]


def settled(fields: Headers) -> Headers:
    """An answer's fields, less those that its `Connection` names: what is written afterwards is
    none of them, whatever the upstream lists."""
    listed = [value for name, value in fields if name.lower() == "connection"]
    named = named_in_connection(listed) - _STAYING if listed else frozenset[str]()
    return _without(fields, named | {"connection"}) if named else fields

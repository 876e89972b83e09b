"""Schemas of OpenAPI documents as JSON Schema has them, draft 2020-12.

Those of 3.1 are that already. 3.0 has words of its own, and others mean something else there.
"""

from __future__ import annotations

from typing import Any

from gateway.transforms.validation.documents import DocumentFault, Documents, Place

# Formats of numbers (OpenAPI Format Registry) that say how large they may be.
_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_LIMITS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def bound_integers(place: Place) -> None:
    """Have `int32` and `int64` limit what they are the format of."""
    schema = place.value
    name = schema.get("format")
    limits = _INTEGERS.get(name) if isinstance(name, str) else None
    if limits is not None and "$ref" not in schema:
        least, most = limits
        schema["allOf"] = [*_list(schema.get("allOf")), {"minimum": least, "maximum": most}]


class Modern:
    """Makes schemas of 3.0 ones of 2020-12, each in place, once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def __call__(self, place: Place) -> None:
        """See references.Prepare."""
        schema = place.value
        if "$ref" in schema:  # what stands beside it means nothing
            reference = schema["$ref"]
            schema.clear()
            schema["$ref"] = reference
            return
        for name in ("$id", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor"):
            schema.pop(name, None)
        bound_integers(place)
        _allow_null(schema)
        for exclusive, limit in _LIMITS:
            if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive):
                _rename(schema, limit, exclusive)
        self._drop_answered(place)

    def _drop_answered(self, place: Place) -> None:
        """Members that only answers have need not be sent (Schema Object, `readOnly`)."""
        required = place.get("required")
        if not isinstance(required, list) or not isinstance(place.get("properties"), dict):
            return
        members = place.child("properties")
        sent = [name for name in required if not self._only_answered(members, name)]
        if sent:
            place.value["required"] = sent
        else:
            del place.value["required"]

    def _only_answered(self, members: Place, name: Any) -> bool:
        if not isinstance(members.get(name) if isinstance(name, str) else None, dict):
            return False
        try:
            return self._documents.followed(members.child(name)).get("readOnly") is True
        except DocumentFault:
            return False  # told where the reference stands


def _allow_null(schema: dict[str, Any]) -> None:
    """`nullable` means something beside a `type` only (3.0.3, Schema Object)."""
    kind = schema.get("type")
    if schema.pop("nullable", None) is True and isinstance(kind, str):
        schema["type"] = [kind, "null"]


def _rename(schema: dict[str, Any], old: str, new: str) -> None:
    if old in schema:
        schema[new] = schema.pop(old)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

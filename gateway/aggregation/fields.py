"""The fields of an answer that a client wants: `?fields=id,name`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refusal

#: Longest list of fields in characters.
_LONGEST = 1000


def chosen_fields(record: Mapping[str, Any], wanted: str | None) -> dict[str, Any]:
    """The members of a record that `wanted` names, comma-separated, in the record's order; all of
    them for None or nothing.

    A record so has whatever it has: only what the view made of it can be chosen. Raises Refusal
    (400 `unknown_field`) for a name that it does not have.
    """
    names = {name.strip() for name in (wanted or "")[:_LONGEST].split(",")} - {""}
    if unknown := names - set(record):
        told = ", ".join(sorted(unknown))[:200]
        raise Refusal(
            f"There is no field {told}; there are {', '.join(record)}.", slug="unknown_field"
        )
    return {name: value for name, value in record.items() if not names or name in names}

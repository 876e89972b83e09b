"""How `flask gateway keys` shows keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

_HEADER = ("key", "owner", "name", "plan", "state", "expires", "last used", "today", "total")
_TIMES = ("previous_until", "expires", "created", "rotated", "revoked", "used")


def with_state(row: dict[str, Any], wall: Callable[[], float] = time.time) -> dict[str, Any]:
    """A key's row with its `state`: active, suspended, expired or revoked; no use is 0."""
    row = {**row, "today": row["today"] or 0, "total": row["total"] or 0}
    if row["revoked"] is not None:
        row["state"] = "revoked"
    elif not row["active"]:
        row["state"] = "suspended"
    elif row["expires"] is not None and row["expires"] <= wall():
        row["state"] = "expired"
    else:
        row["state"] = "active"
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each key."""
    lines = [_HEADER, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"gh_{row['id']}",
        row["owner"],
        row["name"],
        row["plan"] or "-",
        row["state"],
        _time(row["expires"]),
        _time(row["used"]),
        str(row["today"]),
        str(row["total"]),
    )


def details(row: dict[str, Any]) -> str:
    """A line for each thing that is known of a key."""
    shown = {name: _time(value) if name in _TIMES else value for name, value in row.items()}
    shown |= {name: " ".join(row[name]) for name in ("scopes", "roles")}
    return "\n".join(f"{name:<15} {_or_dash(value)}" for name, value in shown.items())


def _or_dash(value: Any) -> str:
    return "-" if value in ("", None, {}) else str(value)


def _time(moment: int | None) -> str:
    """A time in UTC."""
    if moment is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))

"""What operators are told of filters."""

from __future__ import annotations

from typing import Any

from gateway.filters.opening import EVERYWHERE, Filters

_HEADER = ("phase", "order", "name", "where", "state")


def listed(filters: Filters) -> list[dict[str, Any]]:
    """Every filter in the order of phases and within them, ready for JSON. where: `gateway`, or
    the services that have it. switched: it is not as the settings say."""
    rows: dict[str, dict[str, Any]] = {}
    for one in filters.listed:
        noted = one.noted
        row = rows.setdefault(
            noted.name,
            {
                "name": noted.name,
                "phase": noted.phase,
                "order": noted.order,
                "where": [],
                "on": noted.name not in filters.switches.off,
                "switched": filters.switches.switched(noted.name),
            },
        )
        row["where"].append("gateway" if one.where == EVERYWHERE else one.where)
    return list(rows.values())


def table(filters: Filters) -> str:
    """A line for each filter."""
    rows = [_HEADER, *map(_cells, listed(filters))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = ("on" if row["on"] else "off") + (", switched" if row["switched"] else "")
    return row["phase"], str(row["order"]), row["name"], ", ".join(row["where"]), state

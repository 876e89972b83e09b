"""What a service or a gateway declares beside routes, limits and policies: versions and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response

from gateway.explaining.case import Case

if TYPE_CHECKING:
    from gateway.versions.choosing import Choice


def version_of(environ: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """The version that was settled, of those that there are, and the fields that tell of it."""
    response = Response()
    usual = {name for name, _ in response.headers}
    choice.tell(environ, response)
    return {
        "label": environ["gateway.exchange"].version or None,
        "all": list(choice.labels),
        "fields": [(name, value) for name, value in response.headers if name not in usual],
    }


def filters_of(case: Case) -> list[dict[str, Any]]:
    """The filters that a request comes by, in order; none is called. on: as the workers have it."""
    filters, route = case.gateway.filters, case.route
    if filters is None or route.internal:
        return []
    from gateway.filters.switches import SwitchFault

    try:
        filters.switches.look()
    except SwitchFault:
        case.notes.append("which filters are switched cannot be read")
    name = "" if route.service is None else route.service.name
    found = [
        {
            "name": one.noted.name,
            "phase": one.noted.phase,
            "on": one.noted.name not in filters.switches.off,
        }
        for one in filters.listed
        if one.where in ("", name)
    ]
    if any(one["on"] and one["phase"] in ("pre", "error") for one in found):
        case.notes.append("filters are not called; one of phase pre or error may answer instead")
    return found

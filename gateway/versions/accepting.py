"""The version that an `Accept` asks for: `application/vnd.acme.v2+json`, `application/json;v=2`."""

from __future__ import annotations

import re
from collections.abc import Container

from gateway.versions.labels import normalised

# Nothing else in an Accept can name a version.
_HINTS = re.compile(r"vnd\.|[;\s]v(?:ersion)?=", re.IGNORECASE)
# `.v2`, `-v2` or `.v1.1` at the end of a part of a vendor's type, such as vnd.github.v3.raw.
_MARKED = re.compile(r"[.\-]v([0-9]+(?:[.\-][0-9]+)*)(?=$|\.)")


def accepted_version(accept: str, known: Container[str]) -> str | None:
    """The version that is liked best of those that are known, by its normalised name. Otherwise one
    that is not known; None where none is named, or something without a version would do, too."""
    if not _HINTS.search(accept):
        return None
    unknown = None
    otherwise = False
    for _, media_type, parameters in sorted(_members(accept), key=lambda one: -one[0]):
        name = _named(media_type, parameters, known)
        if name is None:
            otherwise = True
        elif name in known:
            return name
        else:
            unknown = unknown or name
    return None if otherwise else unknown


def _members(accept: str) -> list[tuple[float, str, dict[str, str]]]:
    """What is acceptable, with its weight (RFC 9110 section 12.5.1)."""
    found = []
    for member in accept.lower().split(","):
        media_type, *pairs = (part.strip() for part in member.split(";"))
        parted = (pair.partition("=") for pair in pairs)
        parameters = {name.strip(): value.strip(' \t"') for name, _, value in parted}
        weight = _weight(parameters.get("q", "1"))
        if media_type and weight > 0:
            found.append((weight, media_type, parameters))
    return found


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", text) else 0.0


def _named(media_type: str, parameters: dict[str, str], known: Container[str]) -> str | None:
    told = parameters.get("version") or parameters.get("v")
    if told:
        return normalised(told)
    subtype = media_type.partition("/")[2].partition("+")[0]
    if not subtype.startswith("vnd."):
        return None
    marked = _MARKED.search(subtype)
    if marked:
        return marked[1]
    parts = map(normalised, subtype.split(".")[2:])
    return next((part for part in parts if part in known), None)

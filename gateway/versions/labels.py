"""Names of versions: which mean the same one, and what looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What a version may be called.
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")

_DIGITS = frozenset("0123456789")
# What labels look like, and what else looks like them. Words look like nothing else.
_SHAPES = {
    "v": r"[vV][0-9]+(?:[.\-][0-9]+)*",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "dotted": r"[0-9]+(?:\.[0-9]+)+",
    "number": r"[0-9]+",
}


def normalised(text: str) -> str:
    """A name in the form in which all that mean the same version are equal: `2`, `v2`, `V2`."""
    name = text.strip().lower()
    return name[1:] if name[:1] == "v" and name[1:2] in _DIGITS else name


def slug(label: str) -> str:
    """A label as a part of a service's name."""
    return label.replace(".", "-")


def name_of(service: str, label: str) -> str:
    """What a version of a service is called among the services: `users-v1`."""
    return f"{service}-{slug(label)}"


def shape_of(label: str) -> str | None:
    """The name of what a label looks like; None for a word."""
    return next((name for name, shape in _SHAPES.items() if re.fullmatch(shape, label)), None)


def looking_like(shapes: Iterable[str]) -> str:
    """A pattern of what looks like one of these."""
    return "|".join(_SHAPES[name] for name in shapes)

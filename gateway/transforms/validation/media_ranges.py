"""Media types that are taken, as a declaration lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANGE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+/[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: JSON, whatever it is about.
JSON: tuple[str, ...] = ("application/json", "application/*+json")


class MediaRanges:
    """Media types and ranges: `application/json`, `application/*`, `application/*+json`, `*/*`.
    Parameters, such as a charset, are not looked at."""

    __slots__ = ("_exact", "_open", "accept")

    def __init__(self, ranges: Iterable[str]) -> None:
        essences = {essence(one): one for one in reversed(list(ranges))}
        self._exact = {one: name for one, name in essences.items() if "*" not in one}
        wide = sorted((one for one in essences if "*" in one), key=_width)
        self._open = [(_pattern(one), essences[one]) for one in wide]
        #: What a 415 says would be taken, as the value of `Accept` (RFC 9110 section 15.5.16).
        self.accept = ", ".join(sorted(filter(_sayable, essences)))

    def match(self, content_type: str) -> str | None:
        """The narrowest of them that a type belongs to, as it was declared; None for none."""
        asked = essence(content_type)
        found = self._exact.get(asked)
        if found is not None or not self._open:
            return found
        return next((name for pattern, name in self._open if pattern.fullmatch(asked)), None)


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def is_range(text: object) -> bool:
    """Whether it is a media type, or a range of them."""
    return isinstance(text, str) and _RANGE.fullmatch(essence(text)) is not None


def _width(one: str) -> tuple[int, int]:
    """Narrow ones first: `a/*+json` before `a/*` before `*/*`."""
    return one.count("*"), -len(one)


def _pattern(one: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(map(re.escape, one.split("*"))))


def _sayable(one: str) -> bool:
    """Whether `Accept` has a word for it: a part of a type cannot be left open there."""
    kind, _, subtype = one.partition("/")
    return "*" not in one or (subtype == "*" and (kind == "*" or "*" not in kind))

"""JSON as credentials may have it: one meaning whoever reads it."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def strict_object(data: bytes | str) -> dict[str, Any]:
    """A JSON object in which no member is there twice, at any depth, and no number is NaN or
    infinite. Two parsers could take it for two things otherwise (RFC 7519 section 4).

    Raises ValueError, and RecursionError for what is nested too deeply.
    """
    found = json.loads(data, object_pairs_hook=_unique, parse_constant=_refused)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  the text is wrong
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")

"""How deep JSON is nested: arrays and objects inside of one another."""

from __future__ import annotations

from typing import Any

#: Most arrays and objects inside of one another: more than that nobody writes who means it, and
#: what is twice as deep neither Python nor orjson can write again.
MAX_DEPTH = 128


def too_deep(text: str | bytes, value: Any) -> bool:
    """Whether a JSON text, whose value this is, is nested deeper than MAX_DEPTH."""
    if isinstance(text, str):
        openings = text.count("[") + text.count("{")
    else:
        openings = text.count(b"[") + text.count(b"{")
    return openings > MAX_DEPTH and depth(value) > MAX_DEPTH


def depth(value: Any) -> int:
    """How many arrays and objects are inside of one another; 0 for neither."""
    found = 0
    level = [value] if isinstance(value, dict | list) else []
    while level:
        found += 1
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
    return found

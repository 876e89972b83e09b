"""Paths to what is inside a JSON value: names with dots between them, `*` for each of several.

user.mail       the member `mail` of the member `user`
items.*.sku     the member `sku` of each item of `items`, an array or an object
*.id            the member `id` of each item of an array that is the whole body
a\\.b            the member named `a.b`; `\\*` and `\\\\` stand for a star and a backslash
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from gateway.transforms.codec import JSON


class Each:
    """The step `*`: into each item of an array, or each member of an object."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "*"


EACH: Final = Each()

#: The steps of a path; a str is the name of a member.
Path: TypeAlias = tuple[str | Each, ...]

#: Most steps of a path.
MAX_STEPS = 32

_STEP = re.compile(r"(?:[^.\\]|\\[.*\\])+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_path(text: str) -> Path:
    """The path that a text names. Raises ValueError for a malformed one."""
    steps: list[str | Each] = []
    at = 0
    while True:
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"the path {text!r} has a part without a name, or a lone backslash")
        steps.append(EACH if match[0] == "*" else _ESCAPED.sub(r"\1", match[0]))
        at = match.end()
        if at == len(text):
            break
        if text[at] != ".":
            raise ValueError(f"the path {text!r}: a backslash stands before '.', '*' or '\\' only")
        at += 1
    if len(steps) > MAX_STEPS:
        raise ValueError(f"the path {text!r} has more than {MAX_STEPS} parts")
    return tuple(steps)


def changed_at(value: JSON, path: Path, change: Callable[[JSON], JSON]) -> JSON:
    """The value with what is at a path changed; the same where there is nothing. What is given
    stays as it is, and what is not changed is shared."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not isinstance(value, dict) or step not in value:
            return value
        return {**value, step: changed_at(value[step], rest, change)}
    if isinstance(value, list):
        return [changed_at(one, rest, change) for one in value]
    if isinstance(value, dict):
        return {name: changed_at(one, rest, change) for name, one in value.items()}
    return value


def parted(path: Path) -> tuple[Path, tuple[str, ...]]:
    """A path up to its last `*`, and the names behind it."""
    names: list[str] = []
    for step in reversed(path):
        if not isinstance(step, str):
            break
        names.insert(0, step)
    return path[: len(path) - len(names)], tuple(names)

"""The options at the end of a registry's address: `?scheme=https&tag=v2`."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl

Pairs = tuple[tuple[str, str], ...]

_PATH = re.compile(r"(/[!\"$->@-~]*)?")  # as sent on the wire, without query and fragment


class Options:
    """Options yet to be taken. All of them raise ValueError for a value they cannot have."""

    def __init__(self, text: str | None) -> None:
        self._left = parse_qsl(text or "", keep_blank_values=True)

    def all_of(self, names: Collection[str]) -> Pairs:
        """Take all with these names, in their order."""
        taken = tuple(pair for pair in self._left if pair[0] in names)
        self._left = [pair for pair in self._left if pair[0] not in names]
        return taken

    def one(self, name: str, default: str, choices: Collection[str]) -> str:
        """Take one that has one of these values."""
        value = self._text(name, default)
        if value not in choices:
            known = " or ".join(filter(None, choices))
            raise ValueError(f"has a {name}= that is not {known}")
        return value

    def truth(self, name: str, default: bool) -> bool:
        """Take one that is true or false."""
        return self.one(name, str(default).lower(), ("true", "false")) == "true"

    def path(self) -> str:
        """Take `path`, the base path of the instances; empty without."""
        value = self._text("path", "")
        if not _PATH.fullmatch(value):
            raise ValueError("has a path= that is none")
        return value

    def end(self) -> None:
        """See to it that there is no further one."""
        for name, _ in self._left:
            shown = f" {name!r}" if name.isidentifier() else ""  # it may be half a password
            raise ValueError(f"has an option{shown} that there is not")

    def _text(self, name: str, default: str) -> str:
        taken = self.all_of((name,))
        if len(taken) > 1:
            raise ValueError(f"has {name}= twice")
        return taken[0][1] if taken else default

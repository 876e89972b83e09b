"""What may be shown of a request: everything but what somebody else could use."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from gateway.exchange import Headers
from gateway.headers import IDENTITY

MASK = "***"
# Fields and parameters that sound like a credential are taken for one.
_SECRET = re.compile(
    r"auth|token|secret|passw|passwd|credential|session|signature|jwt|api-?_?key|cert|(^|[-_])key",
    re.IGNORECASE,
)
#: Those that sound so, and tell the backend who asks.
_TOLD = IDENTITY | {"www-authenticate"}
_COOKIES = frozenset({"cookie", "set-cookie"})
_SCHEMES = frozenset({"authorization", "proxy-authorization"})


class Masking:
    """Masks the values of credentials. fields: names of those that may hold one, in lower case."""

    def __init__(self, fields: Collection[str] = ()) -> None:
        self._fields = frozenset(fields)

    def fields(self, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Fields as they may be shown."""
        return [(name, self.value(name, value)) for name, value in pairs]

    def value(self, name: str, value: str) -> str:
        """A field's value: of a cookie its name is left, of Authorization the scheme."""
        lower = name.lower()
        if lower in _COOKIES:
            return "; ".join(
                f"{pair.partition('=')[0].strip()}={MASK}" for pair in value.split(";")
            )
        if lower in _SCHEMES:
            scheme, space, _ = value.partition(" ")
            return f"{scheme} {MASK}" if space else MASK
        return MASK if value and self.is_secret(lower) else value

    def is_secret(self, name: str) -> bool:
        """Whether a field of that name, in lower case, may hold a credential."""
        return name in self._fields or (name not in _TOLD and _SECRET.search(name) is not None)

    def target(self, target: str) -> str:
        """A path with its query, without the values of parameters that sound like credentials."""
        path, mark, query = target.partition("?")
        return path + mark + "&".join(map(_parameter, query.split("&"))) if mark else target


def _parameter(pair: str) -> str:
    name, mark, value = pair.partition("=")
    return f"{name}={MASK}" if mark and value and _SECRET.search(name) else pair

"""One instance of a service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.urls import Origin

_LONGEST = 300
_WEIGHT = re.compile(r"weight=(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Target:
    """An instance that can be sent requests.

    weight: its share of them, from 1; twice the weight, twice the requests. 0: none, as long as
    there is another. address: where to connect to, instead of what the origin's name resolves to.
    """

    origin: Origin
    weight: int = 1
    address: str = ""
    #: What logs and verdicts call it.
    name: str = field(init=False)

    def __post_init__(self) -> None:
        name = self.origin.authority + self.origin.base_path
        if self.address:
            name = f"{name}@{self.address}"
        if len(name) > _LONGEST:  # it is part of a key in the shared state
            raise ValueError(f"is longer than {_LONGEST} characters")
        object.__setattr__(self, "name", name)


def parse_targets(urls: str) -> tuple[Target, ...]:
    """Read comma-separated addresses, such as `http://a:8080;weight=5,http://b:8080`.

    Empty means no instance: every request then answers 503. ValueError names the faulty part.
    """
    targets: list[Target] = []
    for part in urls.split(","):
        if part.strip():
            target = parse_target(part.strip())
            if any(target.name == other.name for other in targets):
                raise ValueError(f"{target.name!r} is there twice: give it a weight instead")
            targets.append(target)
    return tuple(targets)


def parse_target(text: str) -> Target:
    """Read one address with its options. ValueError names it, without what may be a password."""
    url, *options = (part.strip() for part in text.split(";"))
    try:
        return Target(Origin.parse(url), _weight(options))
    except ValueError as error:
        raise ValueError(f"{_harmless(url)!r} {error}") from None


def _harmless(url: str) -> str:
    """The part of an address that cannot be a secret: what stands before an `@`, behind a colon or
    in a query may be one."""
    known = re.match(r"(?:[a-z]{1,9}://)?[A-Za-z0-9._\-]*", url.rpartition("@")[2])
    return known[0] if known else ""


def _weight(options: Sequence[str]) -> int:
    found = [_WEIGHT.fullmatch(option) for option in options]
    if len(found) > 1 or None in found:
        raise ValueError("may be followed by ;weight=N alone, N from 0 to 9999")
    return next((int(match[1]) for match in found if match), 1)

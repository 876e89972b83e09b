"""One instance of a service."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.urls import Origin


@dataclass(frozen=True, slots=True)
class Target:
    """An instance that can be sent requests."""

    origin: Origin


def parse_targets(urls: str) -> tuple[Target, ...]:
    """Read comma-separated addresses, such as `http://a:8080,http://b:8080`.

    Empty means no instance: every request then answers 503. ValueError names the faulty part.
    """
    targets = []
    for part in urls.split(","):
        url = part.strip()
        if not url:
            continue
        try:
            targets.append(Target(Origin.parse(url)))
        except ValueError as error:
            # What stands before an `@` may be a password.
            raise ValueError(f"{url.rpartition('@')[2]!r} {error}") from None
    return tuple(targets)

"""Instances as registries tell them: checked one by one, since anybody may have registered them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address
from typing import TypeVar

from gateway.upstreams.target import Target
from gateway.urls import Origin

HEAVIEST = 65535
_NAME = re.compile(r"[A-Za-z0-9._\-]+")
_MOST_COMPLAINTS = 1000

T = TypeVar("T")

log = logging.getLogger("gateway.upstreams")


def make_target(
    scheme: str,
    host: object,
    port: object,
    *,
    path: str = "",
    weight: object = 1,
    address: str = "",
) -> Target:
    """A target out of what a registry says. ValueError tells what is wrong with it.

    port: a number, or its digits. path: the base path. weight: what is no number from 0 to 65535
    counts as 1. address: where to connect to, if not to the host.
    """
    if not isinstance(host, str) or not 0 < len(host) < 254:
        raise ValueError("has no host")
    number = whole(port)
    if number is None or not 0 < number < 65536:
        raise ValueError("has no port")
    if not _NAME.fullmatch(host):
        try:
            host = f"[{IPv6Address(host)}]"
        except ValueError:
            raise ValueError("has a host that is none") from None
    origin = Origin.parse(f"{scheme}://{host}:{number}{path}")
    share = whole(weight)
    return Target(origin, 1 if share is None or share > HEAVIEST else share, address)


def whole(value: object) -> int | None:
    """A number from 0, also one that was told as a string; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if type(value) is int and value >= 0 else None


class Sieve:
    """Makes targets of what was registered and skips what is broken, with a line in the log for
    each, once. What it complained of is remembered in this worker."""

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._complaints: set[str] = set()

    def targets(
        self, instances: Iterable[T], convert: Callable[[T], Target], name: Callable[[T], object]
    ) -> tuple[Target, ...]:
        """The targets of all instances that can be used."""
        found = []
        for instance in instances:
            try:
                found.append(convert(instance))
            except ValueError as error:
                self._complain(f"{self._registry}: instance {name(instance)!r:.200} {error}")
        return tuple(found)

    def _complain(self, text: str) -> None:
        if text in self._complaints:
            return
        if len(self._complaints) >= _MOST_COMPLAINTS:
            self._complaints.clear()
        self._complaints.add(text)
        log.warning("%s: it is left out", text)

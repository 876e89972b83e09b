"""Who no limit applies to: addresses and identities that the operator names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gateway.edge.origin import parse_address

# How limits count an identity: one of the kinds that there are (identity.py), and its subject.
_IDENTITY = re.compile(r"(user|client|key|certificate):.*\S.*")


def faults(entries: Iterable[str]) -> list[str]:
    """What is wrong with the setting RATE_LIMIT_EXEMPT."""
    return [
        f"RATE_LIMIT_EXEMPT: {entry!r} is neither an address, nor a CIDR without further bits, nor"
        " kind:subject"
        for entry in entries
        if _network(entry) is None and not _IDENTITY.fullmatch(entry)
    ]


class Exemptions:
    """The entries of RATE_LIMIT_EXEMPT, free of faults.

    Each worker remembers what it found out of 4096 addresses.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        found = {entry: _network(entry) for entry in entries}
        self._networks = [network for network in found.values() if network is not None]
        self._identities = frozenset(name for name, network in found.items() if network is None)
        self._named = lru_cache(maxsize=4096)(self._contains)

    def cover(self, environ: dict[str, Any]) -> bool:
        """Whether no limit applies to a request: its client's address, as trusted proxies tell
        it, or its identity is named."""
        if self._networks and self._named(environ["gateway.edge"].address):
            return True
        if not self._identities:
            return False
        identity = environ.get("gateway.identity")
        return identity is not None and f"{identity.kind}:{identity.subject}" in self._identities

    def _contains(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None

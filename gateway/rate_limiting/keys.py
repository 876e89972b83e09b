"""Whose limit it is: the user, else the client's address."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any

from flask import request


def client_key() -> str:
    """The key of the current request: `user:<subject>`, else `ip:<address>`."""
    return key_of(request.environ)


def key_of(environ: dict[str, Any]) -> str:
    """The key of a request. An IPv6 client counts by its /64, which is what one customer gets. So
    does whoever was let in without a name."""
    identity = environ.get("gateway.identity")
    if identity is not None and identity.subject:
        return f"{identity.kind}:{identity.subject}"
    return "ip:" + _network(environ["gateway.edge"].address)


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address or "unix"
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:  # how a socket for both names its IPv4 peers
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))

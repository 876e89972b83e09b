"""Who the client is and how it reached us, seen through the proxies that are trusted.

Only a trusted peer's `X-Forwarded-*` is believed; with nobody trusted, the peer is the client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_HOST = re.compile(r"[A-Za-z0-9._\-]*(?::\d{0,5})?|\[[0-9A-Fa-f:.]+\](?::\d{0,5})?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Edge:
    """The client's side of a request.

    peer: who connected, empty on a unix socket. trusted: whether the peer's word counts.
    address: the client. scheme, host: as the client used them; host may hold a port.
    """

    peer: str
    trusted: bool
    address: str
    scheme: str
    host: str
    told_port: str = ""

    @property
    def port(self) -> str:
        """The port the client used."""
        if self.told_port:
            return self.told_port
        _, mark, port = self.host.rpartition(":")
        if mark and port.isdigit():
            return port
        return "443" if self.scheme == "https" else "80"

    @property
    def url(self) -> str:
        """The gateway's own origin as the client knows it; empty without a Host."""
        return f"{self.scheme}://{self.host}" if self.host else ""


class TrustedProxies:
    """The peers that may speak for a client: CIDRs, and `unix` for any peer on a unix socket."""

    def __init__(self, entries: Iterable[str]) -> None:
        entries = tuple(entries)
        self.unix = "unix" in entries
        self._networks = [ipaddress.ip_network(e, strict=False) for e in entries if e != "unix"]
        self._cached = lru_cache(maxsize=4096)(self._contains)

    def __contains__(self, peer: str) -> bool:
        if not peer:
            return self.unix
        return bool(self._networks) and self._cached(peer)

    def _contains(self, peer: str) -> bool:
        address = parse_address(peer)
        return address is not None and any(address in network for network in self._networks)

    def client_address(self, forwarded_for: str, peer: str) -> str:
        """The rightmost address of the chain that is not a trusted proxy.

        An entry that is no address ends the walk: what stands left of it was written by nobody
        we trust. All trusted: the leftmost.
        """
        found = peer
        for entry in reversed(forwarded_for.split(",")):
            if found not in self:
                break
            address = parse_address(entry.strip())
            if address is None:
                break
            found = str(address)
        return found


def parse_address(text: str) -> Address | None:
    """An IP address, also with a port, in brackets, or IPv4 inside IPv6; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def valid_host(host: str) -> bool:
    """Whether `host` may stand in a Host field (RFC 9110 section 7.2); empty may."""
    return _HOST.fullmatch(host) is not None


def edge_of(environ: dict[str, Any], proxies: TrustedProxies) -> Edge:
    """Settle the client's address, scheme and host for one request."""
    peer = environ.get("REMOTE_ADDR", "")
    scheme = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST", "")
    if peer not in proxies:
        return Edge(peer, False, peer, scheme, host)
    chain = environ.get("HTTP_X_FORWARDED_FOR", "")
    told_scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    told_host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
    told_port = environ.get("HTTP_X_FORWARDED_PORT", "").rpartition(",")[2].strip()
    return Edge(
        peer,
        True,
        proxies.client_address(chain, peer) if chain else peer,
        told_scheme if told_scheme in ("http", "https") else scheme,
        told_host if told_host and valid_host(told_host) else host,
        told_port if told_port.isascii() and told_port.isdigit() and len(told_port) < 6 else "",
    )

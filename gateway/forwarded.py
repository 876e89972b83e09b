"""What the gateway tells a backend about the client, and a client about the gateway."""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.edge.origin import Edge
from gateway.errors import Refusal
from gateway.exchange import Headers, UpstreamResponse
from gateway.headers import via_names
from gateway.urls import client_path

if TYPE_CHECKING:
    from gateway.service import Runtime

#: Written by the gateway on every request, whoever the peer is.
ALWAYS = frozenset(
    {
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
    }
)

#: Who a client is, where a trusted proxy says it.
CALLERS = frozenset(
    {
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-forwarded-access-token",
        "x-forwarded-client-cert",
        "x-client-cert",
        "x-ssl-client-cert",
        "ssl-client-cert",
        "client-cert",
        "client-cert-chain",
    }
)

#: How the client's URL was, where a trusted proxy says it: backends make links of it.
PLACES = frozenset(
    {
        "forwarded",
        "x-forwarded",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-forwarded-scheme",
        "x-forwarded-protocol",
        "x-forwarded-path",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-original-host",
        "x-host",
        "front-end-https",
    }
)

#: A client's word on who it is, and from where; dropped unless a trusted proxy says it.
UNTRUSTED = (
    CALLERS
    | PLACES
    | {
        "x-forwarded-by",
        "x-original-forwarded-for",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-request-start",
        "x-queue-start",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
    }
)


def default_pseudonym() -> str:
    """A name for `Via` that differs between machines and checkouts, and stays over restarts."""
    seed = f"{socket.gethostname()}:{Path.cwd()}".encode()
    return "gatehouse-" + hashlib.blake2b(seed, digest_size=4).hexdigest()


def refuse_loop(environ: dict[str, Any], pseudonym: str) -> None:
    """Raise 508 if this gateway already passed the request on (RFC 9110 section 7.6.3)."""
    via = environ.get("HTTP_VIA")
    if via and pseudonym.lower() in via_names([via]):
        raise Refusal("The request came back to this gateway.", status=508, slug="loop")


def fields(environ: dict[str, Any], edge: Edge, runtime: Runtime) -> Headers:
    """`X-Forwarded-*`, `Via` and, if configured, `Forwarded` for a request."""
    added: Headers = []
    if passed := chain(environ, edge):
        added.append(("X-Forwarded-For", passed))
    added.append(("X-Forwarded-Proto", edge.scheme))
    if edge.host:
        added.append(("X-Forwarded-Host", edge.host))
        added.append(("X-Forwarded-Port", edge.port))
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "") if edge.trusted else ""
    strip = "" if runtime.put else runtime.strip  # of a path that was changed it would tell nothing
    if strip or prefix:
        added.append(("X-Forwarded-Prefix", prefix.rstrip("/") + strip))
    version = environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2]
    via = environ.get("HTTP_VIA")
    own = f"{version} {runtime.via}"
    added.append(("Via", f"{via}, {own}" if via else own))
    if runtime.forwarded_header:
        added.append(("Forwarded", _forwarded(environ, edge)))
    return added


def chain(environ: dict[str, Any], edge: Edge) -> str:
    """Who the request passed on its way here: what trusted proxies tell, and the peer."""
    told: str = environ.get("HTTP_X_FORWARDED_FOR", "") if edge.trusted else ""
    if told and edge.peer:
        return f"{told}, {edge.peer}"
    return told or edge.peer


def _forwarded(environ: dict[str, Any], edge: Edge) -> str:
    """RFC 7239: one element for this hop, after those of trusted proxies."""
    pairs = [f"for={_node(edge.peer)}", f"proto={edge.scheme}"]
    if edge.host:
        pairs.append(f"host={_quoted(edge.host)}")
    element = ";".join(pairs)
    # gateway.headers lets a trusted peer's Forwarded through only here, so that there is one.
    before = environ.get("HTTP_FORWARDED") if edge.trusted else None
    return f"{before}, {element}" if before else element


def _node(peer: str) -> str:
    if not peer:
        return "unknown"
    return f'"[{peer}]"' if ":" in peer else peer


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9.\-]+", text) else f'"{text}"'


def rewrite_locations(
    pairs: Headers, response: UpstreamResponse, edge: Edge, runtime: Runtime
) -> None:
    """Point `Location` and `Content-Location` at the gateway where they point at the upstream.

    Everything else passes byte for byte. Where a prefix was stripped, it is put back, also on an
    absolute path, which means the same place.
    """
    for index, (name, value) in enumerate(pairs):
        if name.lower() in ("location", "content-location"):
            pairs[index] = (name, _located(value, response, edge, runtime))


def _located(value: str, response: UpstreamResponse, edge: Edge, runtime: Runtime) -> str:
    path = client_path(value, response.origin, response.base, runtime.strip, runtime.put)
    if path is None:
        return value
    return path if value.startswith("/") else edge.url + path

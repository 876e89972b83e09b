"""Header fields in both directions: what is dropped, what is kept, what is added."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from gateway.exchange import Headers

# Hop-by-hop: RFC 9110 section 7.6.1, and what the field's proxies learned to add.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "proxy-authentication-info",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "alt-svc",
        "alpn",
        "close",
    }
)

#: Names only the gateway may write: whatever a client sends under them is dropped.
IDENTITY = frozenset(
    {"x-user-id", "x-user-roles", "x-user-permissions", "x-token-subject", "x-token-scopes"}
    | {"x-key-owner"}
)

#: A backend that honours these would serve another path or method than the one guarded here.
OVERRIDES = frozenset(
    {
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    }
)

#: What the forwarding code writes itself; `expect` was answered by the server in front of us.
WRITTEN = frozenset({"host", "content-length", "expect", "via", "x-request-id"})

NEVER_FORWARDED = HOP_BY_HOP | IDENTITY | OVERRIDES | WRITTEN

_spelled: dict[str, str] = {
    "ETAG": "ETag",
    "WWW-AUTHENTICATE": "WWW-Authenticate",
    "DNT": "DNT",
    "X-REQUEST-ID": "X-Request-ID",
}


def spelled(name: str) -> str:
    """A field name as people write it; gunicorn hands them over in capitals."""
    known = _spelled.get(name)
    if known is None:
        known = name.title()
        if len(_spelled) < 1000:  # names are the client's: what is remembered must be bounded
            _spelled[name] = known
    return known


def environ_name(name: str) -> str:
    """Where a request field stands in the environ, but for Content-Type and Content-Length."""
    return "HTTP_" + name.upper().replace("-", "_")


def named_in_connection(values: Iterable[str]) -> frozenset[str]:
    """The field names listed in `Connection`, in lower case: they are hop-by-hop too."""
    names = (name.strip().lower() for value in values for name in value.split(","))
    return frozenset(name for name in names if name)


def request_fields(environ: dict[str, object]) -> Headers:
    """The client's fields in order, repeated ones apart.

    gunicorn joins repeated fields in the environ; the message it read them from still has them
    one by one (`gateway.server` leaves it on the body). Other servers have only the environ.
    """
    message = getattr(environ["wsgi.input"], "message", None)
    if message is not None:
        return [(spelled(name), value) for name, value in message.headers]
    fields = [
        (spelled(key[5:].replace("_", "-")), str(value))
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    if environ.get("CONTENT_TYPE"):
        fields.append(("Content-Type", str(environ["CONTENT_TYPE"])))
    return fields


def forwardable(fields: Headers, dropped: frozenset[str]) -> Headers:
    """The fields that go on: none that is hop-by-hop, named in `Connection`, or in `dropped`."""
    listed = [value for name, value in fields if name == "Connection"]
    if listed and (named := named_in_connection(listed) - {"close", "keep-alive"}):
        dropped = dropped | named
    return [field for field in fields if field[0].lower() not in dropped]


def response_fields(fields: Headers, status: int = 200) -> Headers:
    """The upstream's fields that reach the client, in order."""
    listed = [value for name, value in fields if name.lower() == "connection"]
    dropped = HOP_BY_HOP
    if listed:
        # Framing and the gateway's own names stay, whatever the upstream lists.
        dropped = dropped | (named_in_connection(listed) - {"content-length", "content-type"})
    if status == 204:  # it has no body, so it must not announce one (RFC 9110 section 8.6)
        dropped = dropped | {"content-length"}
    return [field for field in fields if field[0].lower() not in dropped]


def via_names(values: Iterable[str]) -> set[str]:
    """Who a message passed, out of its `Via` values (RFC 9110 section 7.6.3)."""
    members = (member.split() for value in values for member in value.split(","))
    return {parts[1].lower() for parts in members if len(parts) >= 2}


def seconds_to_wait(retry_after: str, now: float) -> float:
    """The seconds of a `Retry-After`, or until its date (RFC 9110 section 10.2.3), which may be
    over; 0 if it says neither. now: seconds since the epoch."""
    value = retry_after.strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return 0.0

"""What is asked about something that is kept, and what counts if asking fails."""

from __future__ import annotations

import logging

from gateway.caching.conditions import revalidating, without_conditions
from gateway.caching.entry import Entry
from gateway.errors import UpstreamError
from gateway.exchange import Headers, UpstreamRequest, UpstreamResponse

log = logging.getLogger("gateway")


def asking_anew(request: UpstreamRequest, entry: Entry | None) -> Headers:
    """The fields by which all of an answer is asked for, or whether what is kept is still good.
    Without the client's conditions: it is answered out of what comes, and so are others."""
    if entry is None:
        return without_conditions(request.headers)
    return revalidating(request.headers, entry)


def tell_outage(request: UpstreamRequest, failed: UpstreamError | UpstreamResponse) -> str:
    """Note why something stale is used instead of an answer; returns it for Cache-Status."""
    if isinstance(failed, UpstreamError):
        party, reason, told = failed.party, failed.reason, f"detail={failed.reason}"
    else:
        party, reason = "upstream", f"status_{failed.status}"
        told = f"fwd-status={failed.status}"
    request.exchange.blame(party, reason)
    if party == "upstream":  # what was kept back by the thousand, the access log tells
        label = f"{request.exchange.request_id}: {request.exchange.service}"
        why = failed if isinstance(failed, UpstreamError) else reason
        log.warning("%s %s (%s), cache: stale", label, reason, why)
    return told


def own_cookies(response: UpstreamResponse) -> Headers:
    """What an answer sets at the one who asked; it is kept for nobody."""
    return [field for field in response.headers if field[0].lower() == "set-cookie"]

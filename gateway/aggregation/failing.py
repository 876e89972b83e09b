"""What the client is told when a part that is needed cannot be had."""

from __future__ import annotations

from typing import NoReturn

from gateway.aggregation.leg import LegFailed
from gateway.errors import Refusal, UnusableAnswer, UpstreamError

_DETAILS = {
    403: "A part of the answer is not for this caller.",
    404: "There is nothing here by this name.",
    410: "What was here is gone.",
    429: "A service that is needed has had too many requests.",
}
_SLUGS = {403: "forbidden", 404: "not_found", 410: "gone", 429: "too_many_requests"}


def raise_for(failed: LegFailed) -> NoReturn:
    """End a view for a part that it cannot do without.

    Raises what was raised for the leg; Refusal for an answer whose status says something about what
    the client asked for; otherwise UnusableAnswer (502), or 504 for one that came too late.
    """
    if isinstance(failed.error, Refusal | UpstreamError):
        raise failed.error
    if failed.status in _DETAILS:
        raise Refusal(_DETAILS[failed.status], status=failed.status, slug=_SLUGS[failed.status])
    raise UnusableAnswer(failed.reason, status=failed.status)

"""A request on its way through a cache."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.caching.freshness import NOTHING, Standing, Wants, standing
from gateway.caching.storing import Place
from gateway.errors import Refusal
from gateway.exchange import Aside, UpstreamRequest


@dataclass(slots=True)
class Visit:
    """A request, what is kept for it, and how that may be used.

    fwd: why the upstream is asked, as RFC 9211 section 2.2 says it. collapsed: whether the request
    waited for another one. asked: whether it was itself sent upstream all the same. passed: whether
    answers were not kept until now, so that nobody waits for this one.
    """

    request: UpstreamRequest
    place: Place
    wants: Wants = NOTHING
    standing: Standing = "stale"
    fwd: str = "uri-miss"
    collapsed: bool = False
    asked: bool = False
    passed: bool = False
    _aside: Aside | None = None

    def stand_aside(self) -> None:
        """Give the request's place among those that are forwarded to another one: it waits."""
        exchange = self.request.exchange
        if self._aside is None and exchange.aside is not None:
            self._aside = exchange.aside(exchange, self.request.abandoned)

    def back(self) -> None:
        """Take a place again, to be forwarded. Raises NotSent or ClientGone."""
        aside, self._aside = self._aside, None
        if aside is not None:
            aside.back()

    def over(self) -> None:
        """It is answered, and waits no more."""
        if self._aside is not None:
            self._aside.over()

    def look(self, now: float) -> None:
        """Settle how what is kept may be used."""
        entry = self.place.entry
        if entry is None:
            self.standing = "stale"
            self.fwd = "vary-miss" if self.place.names else "uri-miss"
            return
        self.standing = standing(entry, now, self.wants)
        fresh = self.wants is not NOTHING and standing(entry, now) == "fresh"
        self.fwd = "request" if fresh else "stale"

    def status(self, *told: str) -> str:
        """The parameters of Cache-Status for an answer that was asked for, or waited for."""
        parts = [f"fwd={self.fwd}", *told]
        if self.collapsed:  # "if false, a new request had to be made" (section 2.6)
            parts.append("collapsed=?0" if self.asked else "collapsed")
        return "; ".join(parts)


def nothing_kept() -> Refusal:
    """What `only-if-cached` gets where nothing can be used (RFC 9111 section 5.2.1.7). No failure:
    nothing else is to answer it, and no other service to be asked."""
    return Refusal("Nothing is kept that could be used.", status=504, slug="only_if_cached")

"""A share of a service's requests for another service, as for a canary release."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from math import log
from typing import ClassVar

from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.policy import Explained, PolicyContext

_STICKY = ("user", "address")
# Percentages that are 100 in all but for this are 100.
_ROUNDING = 1e-9

# The services whose requests are being answered elsewhere: a fallback there may send them back.
_away: ContextVar[tuple[str, ...]] = ContextVar("gateway_split", default=())


@dataclass(frozen=True, slots=True)
class Split:
    """Sends a percentage of the requests through another service's chain.

    to: that service; or several with their percentages, as {"orders-canary": 5, "orders-next": 1}.
    percent: from 0 to 100, fractions too; only for a single one.
    sticky: what a requester is known by: "user", "address", "header:NAME" or "cookie:NAME". Who is
        sent elsewhere stays there, in every worker and after a restart, and when a percentage is
        raised. None, and requests without it: by chance, each time.
    salt: another one deals the requesters anew.
    force_header: a request field that decides: `always` (the first listed), `never`, or a service's
        name; anything else decides nothing. Whoever may set it chooses for himself.

    A request that came from another service's chain is not split again.
    """

    to: str | Mapping[str, float]
    percent: float | None = None
    sticky: str | None = "user"
    salt: str = ""
    force_header: str | None = None
    draw: Callable[[], float] = random.random

    per: ClassVar[str] = "request"
    before: ClassVar[Mapping[str, str]] = {
        "Cache": "what is kept would not differ by the service that answered"
    }

    @property
    def shares(self) -> dict[str, float]:
        """Percentages by service."""
        if isinstance(self.to, str):
            return {self.to: 0.0 if self.percent is None else self.percent}
        return dict(self.to)

    @property
    def needs(self) -> tuple[str, ...]:
        """See gateway.policy."""
        return tuple(self.shares)

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = []
        shares = self.shares
        for name, percent in shares.items():
            if context.is_own(name):
                found.append("it cannot send requests to its own service")
            elif name not in context.services:
                found.append(f"there is no service {name!r}")
            if not 0 <= percent <= 100:
                found.append(f"{percent!r} is not a percentage for {name!r}")
        if not shares or isinstance(self.to, str) == (self.percent is None):
            found.append("a percentage is needed for each service, and only one")
        if sum(shares.values()) > 100 + _ROUNDING:
            found.append("the percentages are more than 100 in all")
        if self.sticky is not None and self.sticky not in _STICKY:
            kind, _, name = self.sticky.partition(":")
            if kind not in ("header", "cookie") or not name:
                found.append(f"sticky={self.sticky!r} is no way to know a requester")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        own = context.family
        handlers = {name: context.handler_of(name) for name in self.shares}
        handlers[own] = following
        dealt = self.dealing(own)

        def handle(request: UpstreamRequest) -> UpstreamResponse:
            away = _away.get()
            if request.exchange.service != own or own in away:
                return following(request)
            chosen = handlers[dealt(request)]
            if chosen is following:
                return following(request)
            token = _away.set((*away, own))
            try:
                return chosen(request)
            finally:
                _away.reset(token)

        return handle

    def explained(self, request: UpstreamRequest, context: PolicyContext) -> Explained:
        """See gateway.policy."""
        own = context.family
        if request.exchange.service != own:
            return Explained()  # it came from another one
        chosen = self.dealing(own)(request)
        return Explained((f"sends it to {chosen}",), elsewhere="" if chosen == own else chosen)

    def dealing(self, own: str) -> Callable[[UpstreamRequest], str]:
        """What says which service gets a request of the service `own`: perhaps that one itself."""
        choose = Dealer(own, self.shares, self.salt)
        settled = self._settling(own, choose)
        return lambda request: settled(request) or choose.by_chance(self.draw())

    def apart(self, context: PolicyContext) -> Callable[[UpstreamRequest], str]:
        """See gateway.policy."""
        own = context.family
        settled = self._settling(own, Dealer(own, self.shares, self.salt))
        return lambda request: settled(request) if request.exchange.service == own else ""

    def _settling(self, own: str, choose: Dealer) -> Callable[[UpstreamRequest], str]:
        """What says which service gets a request; empty where chance does."""
        shares = self.shares
        requester = _requester(self.sticky)
        named = {name: name for name in (*shares, own)}
        named |= {"always": next(iter(shares)), "never": own}
        field = (self.force_header or "").lower()

        def settled(request: UpstreamRequest) -> str:
            wanted = named.get(_field(request, field)) if field else None
            if wanted is not None:
                return wanted
            key = requester(request)
            return choose.by_key(key) if key else ""

        return settled


class Dealer:
    """Deals requesters out to services, each by its percentage; the rest stays at their own.

    Weighted rendezvous hashing: a requester has a lot for each service, and the one that is least
    in relation to the percentage wins. So raising one percentage, or adding a service, takes
    requesters from the others to that one and moves nobody else who was sent elsewhere.
    """

    def __init__(self, service: str, shares: Mapping[str, float], salt: str = "") -> None:
        own = 100.0 - sum(shares.values())
        everyone = {**shares, service: own if own > _ROUNDING else 0.0}
        #: Services that get something, with their weights and what their lots are hashed with.
        self._parts = [
            (name, weight, f"{service}\0{salt}\0{name}\0".encode())
            for name, weight in everyone.items()
            if weight > 0
        ]

    def by_key(self, key: str) -> str:
        """The service for a requester; always the same."""
        data = key.encode("utf-8", "surrogateescape")
        return min(self._parts, key=lambda part: -log(_lot(part[2] + data)) / part[1])[0]

    def by_chance(self, lot: float) -> str:
        """The service for a lot of 0 to below 1."""
        point = lot * 100
        for name, weight, _ in self._parts[:-1]:
            if point < weight:
                return name
            point -= weight
        return self._parts[-1][0]


def _lot(data: bytes) -> float:
    """A number above 0 and up to 1 that is always the same for the same bytes."""
    digest = blake2b(data, digest_size=8).digest()
    return ((int.from_bytes(digest) >> 11) + 1) / (1 << 53)


def _requester(sticky: str | None) -> Callable[[UpstreamRequest], str]:
    """What says who a request comes from; empty for nobody."""
    if sticky is None:
        return lambda request: ""
    if sticky == "user":
        return lambda request: request.exchange.user
    if sticky == "address":
        return lambda request: request.exchange.client
    kind, _, name = sticky.partition(":")
    if kind == "header":
        field = name.lower()
        return lambda request: _field(request, field)
    return lambda request: _cookie(request, name)


def _field(request: UpstreamRequest, name: str) -> str:
    """The first value of a field; `name` in small letters."""
    return next((value for key, value in request.headers if key.lower() == name), "")


def _cookie(request: UpstreamRequest, name: str) -> str:
    for key, value in request.headers:
        if key.lower() == "cookie":
            for pair in value.split(";"):
                found, _, content = pair.strip().partition("=")
                if found == name:
                    return content
    return ""

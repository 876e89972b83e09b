"""Answers as clients get them: what they say of the cache, and what is for caches alone."""

from __future__ import annotations

import re

from gateway.caching.conditions import Selected
from gateway.caching.entry import Entry
from gateway.exchange import Asked, UpstreamRequest, UpstreamResponse
from gateway.response_bodies import StaticBody

# What an upstream says to a cache alone, or what this one says itself.
_OURS = frozenset({"x-cache", "surrogate-control", "surrogate-key"})
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*")


class Answers:
    """Writes `X-Cache`, `Age` and `Cache-Status` (RFC 9211). name: this cache's, of the characters
    of a token."""

    def __init__(self, name: str) -> None:
        self._name = name if _TOKEN.fullmatch(name) else f'"{name}"'
        self._hit = f"{self._name}; hit; ttl="

    def kept(
        self,
        asked: Asked,
        entry: Entry,
        picked: Selected,
        now: float,
        label: str = "HIT",
        status: str = "",
    ) -> UpstreamResponse:
        """An answer out of what is kept. label: as X-Cache says it. status: parameters of
        Cache-Status where the upstream was asked, or waited for; empty for a hit."""
        age = entry.age_at(now)
        said = f"{self._name}; {status}" if status else f"{self._hit}{int(entry.lifetime - age)}"
        fields = picked.headers
        fields += (("Age", str(int(age))), ("X-Cache", label), ("Cache-Status", said))
        asked.exchange.cache = label.lower()
        return UpstreamResponse(
            picked.status,
            entry.reason if picked.status == entry.status else "",
            fields,
            StaticBody(picked.body),
            entry.origin,
            entry.base,
            entry.version,
        )

    def passed(
        self, request: UpstreamRequest, response: UpstreamResponse, label: str, status: str
    ) -> UpstreamResponse:
        """An upstream's answer on its way to the client. label, status: as in `kept`."""
        fields = [field for field in response.headers if field[0].lower() not in _OURS]
        fields += (("X-Cache", label), ("Cache-Status", f"{self._name}; {status}"))
        response.headers = fields
        request.exchange.cache = label.lower()
        return response

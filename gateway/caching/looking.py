"""What a cache has for a request, looked at from beside: nothing is asked for or marked."""

from __future__ import annotations

import time
from typing import Any

from gateway.caching.conditions import selected
from gateway.caching.handler import Options, wishes
from gateway.caching.keys import Keys
from gateway.caching.store import StoreFault
from gateway.caching.storing import Place, Shelf
from gateway.caching.tiers import TieredResponses
from gateway.caching.visit import Visit, nothing_kept
from gateway.exchange import UpstreamRequest
from gateway.policy import Explained

_READING = ("GET", "HEAD")


def explained(
    request: UpstreamRequest, service: str, options: Options, store: TieredResponses
) -> Explained:
    """What the cache of a service would do with a request. `kept` has the key in hex, what it
    differs by, and the answer there, if there is one: its age, and for how long it is fresh."""
    if request.method not in _READING or request.body is not None:
        return Explained(kept={"key": None, "why": "only GET and HEAD without a body are answered"})
    place = Shelf(Keys(service, options), store, options.vary).find(request)
    if place is None:
        return Explained(kept={"key": None, "why": "no answer is kept for such a request"})
    visit = Visit(request, place, wishes(request, obeys=options.client_no_cache))
    now = time.time()
    visit.look(now)
    kept = {
        "key": place.key.hex(),
        "url": place.url,
        "differs_by": _differences(options, place, request),
        "answer": _answer(visit, now),
        "why": _why_none(store, place, now),
    }
    return _use(visit, kept, personal=not options.shared)


def _use(visit: Visit, kept: dict[str, Any], *, personal: bool) -> Explained:
    """What the request gets of it."""
    entry = visit.place.entry
    if entry is not None and visit.standing in ("fresh", "while_revalidating"):
        picked = selected(entry, visit.request)
        if picked is not None:
            does = ("answers with what is kept",)
            return Explained(does, kept, answer=picked.status, personal=personal)
    if visit.wants.only_if_cached:
        return Explained(kept=kept, refuses=nothing_kept(), personal=personal)
    stale = "what is kept may be used" if visit.standing == "if_error" else ""
    return Explained(kept=kept, instead=stale, personal=personal)


def _answer(visit: Visit, now: float) -> dict[str, Any] | None:
    entry = visit.place.entry
    if entry is None:
        return None
    age = entry.age_at(now)
    return {
        "status": entry.status,
        "bytes": len(entry.body),
        "age": round(age, 1),
        "fresh_for": round(entry.lifetime - age, 1),
        "use": visit.standing,
    }


def _why_none(store: TieredResponses, place: Place, now: float) -> str:
    """Why there is no answer, where more is known than that."""
    if place.is_passed(now):
        return "an answer like it was not one to keep a moment ago"
    try:
        store.usage()
    except StoreFault:
        return "the store cannot be read"
    return ""


def _differences(options: Options, place: Place, request: UpstreamRequest) -> list[str]:
    """What the key is made of, in words."""
    requester = request.requester
    if requester is None:
        return []  # then there is no key either
    found = [requester.origin, "the path"]
    if options.query is None:
        found.append("the query, in any order" if options.sort_query else "the query")
    elif options.query:
        found.append("the parameters " + ", ".join(sorted(options.query)))
    found += [f"the field {name}" for name in sorted({*options.vary, *place.names}, key=str.lower)]
    if requester.way:
        found.append("what proxies say of the URL")
    if request.differs:
        found.append("what policies in front made of it")
    if options.shared:
        return [*found, "not the caller: shared"]
    return [*found, "the caller" if requester.caller(options.cookies) else "no caller: nobody's"]

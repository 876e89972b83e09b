"""Answers that are kept and used again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from gateway.caching import handler, looking
from gateway.caching.freshness import Rules
from gateway.caching.opening import open_responses
from gateway.exchange import Handler, UpstreamRequest
from gateway.policy import Explained, PolicyContext

_OVERRIDABLE = ("must-revalidate", "no-cache", "no-store", "private", "set-cookie")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Parts, and answers about something else.
_UNKEPT = frozenset({206, 304})


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _is_all(value: Any, kind: type) -> bool:
    """Whether it is a collection of these, and can be gone through more than once."""
    if not isinstance(value, Collection) or isinstance(value, str):
        return False
    return all(isinstance(one, kind) for one in value)


def _is_names(value: Any) -> bool:
    return _is_all(value, str)


# What options must be, and how that is said.
_KINDS: dict[tuple[str, ...], tuple[Callable[[Any], bool], str]] = {
    ("ttl", "negative_ttl", "stale_while_revalidate", "stale_if_error"): (
        lambda value: value is None or _is_seconds(value),
        "seconds from 0",
    ),
    ("collapse",): (_is_seconds, "seconds from 0"),
    ("vary", "override"): (_is_names, "a collection of names, such as ['a', 'b']"),
    ("cookies", "query"): (
        lambda value: value is None or _is_names(value),
        "a collection of names, such as ['a', 'b']",
    ),
    ("statuses",): (lambda value: _is_all(value, int), "a collection, such as [200, 404]"),
    ("shared", "sort_query", "client_no_cache"): (
        lambda value: isinstance(value, bool),
        "True or False",
    ),
    ("version",): (lambda value: isinstance(value, str), "text"),
    ("max_bytes",): (
        lambda value: value is None or (type(value) is int and value >= 0),
        "from 0, in bytes",
    ),
}


@dataclass(frozen=True, slots=True)
class Cache:
    """Keeps the answers to GET, and uses them again for GET and HEAD as RFC 9111 allows.

    Without options it does what the backend says: `Cache-Control`, `Expires`, `Age`, `Vary`, and
    instead of the first two `CDN-Cache-Control` (RFC 9213) or `Surrogate-Control`; an answer with
    nothing but `Last-Modified` is fresh for a tenth of its age, a day at most.

    ttl: seconds for which an answer is fresh at least, whatever the backend says of it; None:
        only what it says; 0: likewise, as a floor of nothing.
    statuses: those for which `ttl` counts. negative_ttl: `ttl` for 404, 405, 410, 414 and 501.
    vary: request fields by which answers differ, beside those that the backend names in `Vary`.
    shared: answers are the same for everybody who may ask. Otherwise what is asked for with a
        credential or a cookie is kept for that caller alone.
    cookies: names of the cookies that say who asks; None: all. An empty one ignores cookies.
    query: names of the parameters that count; None: all. sort_query: whatever their order.
    version: another one, such as that of a release, and nothing kept under others is used.
    stale_while_revalidate, stale_if_error: for how many seconds longer an answer may be used while
        a new one is fetched beside the requests, and where that fails: 500, 502, 503, 504, an open
        circuit, no answer. At least, as `ttl`; None: only as the backend says (RFC 5861).
    override: what the backend says that is not to count: of `no-store`, `private`, `no-cache`,
        `must-revalidate`, and `set-cookie`, whose answers are then kept without that field.
    client_no_cache: let any client have an answer fetched anew: `no-cache`, `max-age`, `min-fresh`,
        `Pragma` in its request count, and `max-stale`. `no-store` and `only-if-cached` always do.
    max_bytes: longest body that is kept, an eighth of CACHE_BYTES at most; None: CACHE_ENTRY_BYTES.
    collapse: seconds for which requests for what is being fetched wait for it, on all workers that
        share the store, before they ask by themselves; 0: they do not wait.

    An unsafe request that succeeds drops what is kept of its path. Answers say `X-Cache`, `Age` and
    `Cache-Status` (RFC 9211). Where the store cannot be used, every request is a miss.
    """

    ttl: float | None = None
    vary: Collection[str] = ()
    shared: bool = False
    cookies: Collection[str] | None = None
    statuses: Collection[int] = frozenset({200, 203, 301, 308})
    negative_ttl: float | None = None
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    query: Collection[str] | None = None
    sort_query: bool = False
    version: str = ""
    override: Collection[str] = ()
    client_no_cache: bool = False
    max_bytes: int | None = None
    collapse: float = 5.0

    per: ClassVar[str] = "request"
    once: ClassVar[bool] = True
    before: ClassVar[tuple[str, ...]] = (
        "AdaptiveConcurrency",
        "Bulkhead",
        "CircuitBreaker",
        "Deadline",
        "FaultInjection",
        "Hedge",
        "Retry",
    )

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = {
            name: f"{name}={getattr(self, name)!r} must be {kind}"
            for names, (is_right, kind) in _KINDS.items()
            for name in names
            if not is_right(getattr(self, name))
        }
        return [*found.values(), *self._wrong_values(found.keys())]

    def _wrong_values(self, strange: Set[str]) -> list[str]:
        """What is wrong with options that are of the right kind, as all but `strange` are."""
        found = []
        names = () if "vary" in strange else self.vary
        if wrong := sorted(name for name in names if not _TOKEN.fullmatch(name) or name == "*"):
            found.append(f"vary: {wrong} are no names of fields")
        names = () if "override" in strange else self.override
        if unknown := sorted(set(names) - set(_OVERRIDABLE)):
            found.append(f"override: {unknown} are none of {', '.join(_OVERRIDABLE)}")
        statuses = () if "statuses" in strange else self.statuses
        if wild := sorted(one for one in statuses if not 200 <= one <= 599 or one in _UNKEPT):
            found.append(f"statuses: {wild} must be from 200 to 599, but neither 206 nor 304")
        if self.shared is True and self.cookies is not None:
            found.append("cookies= says who asks, which does not count with shared=True: omit one")
        return found

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        settings = context.settings
        store = open_responses(
            settings, context.commons, partial(context.pulse.at_beat, urgent=False)
        )
        name = settings.VIA_PSEUDONYM or "gatehouse"
        # A store that is to hold more than a few answers takes no longer ones.
        rules = self.rules(settings.CACHE_ENTRY_BYTES, settings.CACHE_BYTES // 8)
        return handler.Cached(
            following,
            context.service,
            self,
            rules,
            store,
            name,
            listed=context.listed,
            prefixes=context.prefixes,
        )

    def explained(self, request: UpstreamRequest, context: PolicyContext) -> Explained:
        """See gateway.policy."""
        store = open_responses(context.settings, context.commons)
        return looking.explained(request, context.service, self, store)

    def rules(self, longest: int, most: int) -> Rules:
        """What is to be kept, and for how long. longest: body that is kept, if not said here. most:
        the longest that the store takes."""
        return Rules(
            ttl=self.ttl,
            negative_ttl=self.negative_ttl,
            statuses=frozenset(self.statuses),
            while_revalidating=self.stale_while_revalidate,
            if_error=self.stale_if_error,
            override=frozenset(self.override),
            max_bytes=min(longest if self.max_bytes is None else self.max_bytes, most),
        )

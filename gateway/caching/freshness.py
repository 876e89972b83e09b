"""May an answer be kept, for how long is it fresh, and may it be used: RFC 9111 and RFC 5861."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gateway.caching.directives import cache_control, http_date, seconds, targeted
from gateway.caching.entry import Entry
from gateway.exchange import Asked, UpstreamRequest, UpstreamResponse
from gateway.response_bodies import is_whole

#: Statuses that may be kept without being told for how long (RFC 9110 section 15.1), less 206.
HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
#: Statuses for which `negative_ttl` counts.
NEGATIVE = frozenset({404, 405, 410, 414, 501})
#: Statuses at which `stale-if-error` lets an older answer be used (RFC 5861 section 4).
FAILED = frozenset({500, 502, 503, 504})
# Statuses that are understood, as must-understand wants it: the final ones of RFC 9110 section 15.
_UNDERSTOOD = (
    frozenset(range(200, 206))
    | frozenset({300, 301, 302, 303, 305, 307, 308})
    | (frozenset(range(400, 418)) | {421, 422, 426})
    | frozenset(range(500, 506))
)
# By these, the backend forbids to use an answer after its time (section 4.2.4); by s-maxage, too
# (section 5.2.2.10), whatever it says of RFC 5861 beside it.
_REVALIDATED = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})

_TENTH, _DAY = 0.1, 86400.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator says of answers: the options of `Cache` of the same names. Seconds; None
    and 0 alike say nothing. max_bytes: the longest body that is kept."""

    ttl: float | None = None
    negative_ttl: float | None = None
    statuses: frozenset[int] = frozenset({200, 203, 301, 308})
    while_revalidating: float | None = None
    if_error: float | None = None
    override: frozenset[str] = frozenset()
    max_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer may be kept, and the times of the Entry it then is.

    why: the reason not to, as one word for `Cache-Status`. lasting: the reason is the backend's
    habit, so that the next answer will not be kept either, and not one of this once. vary: names of
    the request fields it depends on, in lower case, sorted.
    """

    keep: bool
    why: str = ""
    lasting: bool = False
    lifetime: float = 0.0
    age: float = 0.0
    while_revalidating: float = 0.0
    if_error: float = 0.0
    always_ask: bool = False
    vary: tuple[str, ...] = ()


def judge(
    request: UpstreamRequest,
    response: UpstreamResponse,
    rules: Rules,
    *,
    asked_at: float,
    now: float,
) -> Verdict:
    """Whether the answer whose head came at `now`, asked for at `asked_at`, may be kept, and for
    how long. Wall times. Reads no body. RFC 9111 section 3; a 304 is judged by
    `conditions.renewed`.

    Of section 3.5 nothing is left to do here: keys belong to the caller, or the operator said that
    answers are for everybody.
    """
    told = _Told(response)
    once = _unfit(request, told)
    habit = "" if once else _refused(told, response, rules)
    if once or habit:
        return _not_kept(told, once or habit, once=bool(once))
    age = _age(told, asked_at, now)
    own = _own_lifetime(told, now)
    floor = _floor(told.status, rules)
    explicit = own is not None or bool(floor) or "public" in told.control
    lifetime = _heuristic(told, now) if own is None else own
    if floor:
        lifetime = max(lifetime, age + floor)
    always_ask = "no-cache" in told.control and "no-cache" not in rules.override
    while_revalidating, if_error = (0.0, 0.0) if always_ask else _stale_uses(told.control, rules)
    if not explicit and told.status not in HEURISTIC:
        return _not_kept(told, "status")
    usable = not always_ask and (lifetime > age or while_revalidating or if_error)
    if not usable and not (told.first("etag") or told.first("last-modified")):
        return _not_kept(told, "no-cache" if always_ask else "stale")
    return Verdict(
        True,
        lifetime=lifetime,
        age=age,
        while_revalidating=while_revalidating,
        if_error=if_error,
        always_ask=always_ask,
        vary=tuple(sorted(told.vary)),
    )


class _Told:
    """What an answer says of itself: fields by their names in lower case, and directives."""

    __slots__ = ("_found", "control", "is_targeted", "status", "vary")

    def __init__(self, response: UpstreamResponse) -> None:
        self.status = response.status
        self._found: dict[str, list[str]] = {}
        for name, value in response.headers:
            self._found.setdefault(name.lower(), []).append(value)
        own = targeted(response.headers)
        self.is_targeted = own is not None
        self.control = cache_control(self.all("cache-control")) if own is None else own
        listed = (name for value in self.all("vary") for name in value.split(","))
        self.vary = {name.strip().lower() for name in listed} - {""}
        if "content-encoding" in self:
            self.vary.add("accept-encoding")  # else who cannot read it would get it, too
        if any(value.strip() != "*" for value in self.all("access-control-allow-origin")):
            self.vary.add("origin")  # else pages of other origins would get it, and be refused

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def all(self, name: str) -> list[str]:
        """The values of a field, line by line."""
        return self._found.get(name, [])

    def first(self, name: str) -> str:
        """The value of a field's first line; empty if there is none."""
        values = self._found.get(name)
        return values[0] if values else ""


def _not_kept(told: _Told, why: str, *, once: bool = False) -> Verdict:
    # An error may be about this one request, by a field that no key holds, or about this moment.
    return Verdict(False, why, lasting=not once and told.status < 400)


def _unfit(request: UpstreamRequest, told: _Told) -> str:
    """Why this one answer is not to be kept, whatever answers like it may be."""
    if request.method != "GET" or request.body is not None:
        return "method"
    if wants(request).no_store:
        return "request-no-store"
    if "x-fallback" in told:
        return "fallback"
    if told.status < 200 or told.status in (206, 304) or "content-range" in told:
        return "partial"
    return ""


def _refused(told: _Told, response: UpstreamResponse, rules: Rules) -> str:
    """Why answers like this one are not to be kept."""
    control, override = told.control, rules.override
    must_understand = "must-understand" in control
    if must_understand and told.status not in _UNDERSTOOD:
        return "must-understand"
    if "no-store" in control and not must_understand and "no-store" not in override:
        return "no-store"
    if "private" in control and "private" not in override:
        return "private"
    if "set-cookie" in told and "set-cookie" not in override:
        return "set-cookie"
    if "*" in told.vary:
        return "vary"
    return _unbounded(told, response, rules.max_bytes)


def _unbounded(told: _Told, response: UpstreamResponse, most: int) -> str:
    """Why a body cannot be kept: it is too long, or nobody would see that it broke off."""
    if "trailer" in told:
        return "trailers"
    if told.first("content-type").lower().startswith("text/event-stream"):
        return "stream"  # without an end: others would wait for it in vain
    length = seconds(told.first("content-length"))
    if length is not None:
        return "length" if length > most else ""
    chunked = "transfer-encoding" in told
    return "" if chunked or told.status == 204 or is_whole(response.body) else "end"


def _own_lifetime(told: _Told, now: float) -> float | None:
    """The lifetime that the backend gave it; None if it gave none (section 4.2.1). What cannot be
    read is stale (sections 4.2.1, 5.3)."""
    for name in ("s-maxage", "max-age"):
        if name in told.control:
            return seconds(told.control[name]) or 0.0
    if told.is_targeted or "expires" not in told:
        return None
    ends = [http_date(value, now) for value in told.all("expires")]
    end = min(-math.inf if one is None else one for one in ends)
    return max(end - _date(told, now), 0.0)


def _heuristic(told: _Told, now: float) -> float:
    """The lifetime of an answer that says none (section 4.2.2)."""
    marked = told.status in HEURISTIC or "public" in told.control
    modified = http_date(told.first("last-modified"), now)
    # An answer for caches of HTTP/1.0 has no other way to say that it is not to be used.
    shy = any("no-cache" in value.lower() for value in told.all("pragma"))
    if not marked or modified is None or shy:
        return 0.0
    return min(max(_TENTH * (_date(told, now) - modified), 0.0), _DAY)


def _date(told: _Told, now: float) -> float:
    """When it was made; when it came, where it does not say so (RFC 9110 section 6.6.1)."""
    date = http_date(told.first("date"), now)
    return now if date is None else date


def _floor(status: int, rules: Rules) -> float:
    """For how long an answer is fresh at least, from when it came."""
    floor = rules.ttl if status in rules.statuses else None
    if status in NEGATIVE:
        floor = max(floor or 0.0, rules.negative_ttl or 0.0)
    return floor or 0.0


def _age(told: _Told, asked_at: float, now: float) -> float:
    """How old it is as it comes (section 4.2.3)."""
    # Dates have whole seconds: the part of one that has passed is no age.
    apparent = max(math.floor(now) - _date(told, now), 0.0)
    first = told.first("age").partition(",")[0]
    corrected = (seconds(first) or 0.0) + max(now - asked_at, 0.0)
    return max(apparent, corrected)


def _stale_uses(control: dict[str, str], rules: Rules) -> tuple[float, float]:
    """For how long it may be used after its time: while another one is asked for, and where that
    fails. The backend may forbid both, which the operator cannot outbid but only override."""
    if "must-revalidate" not in rules.override and not control.keys().isdisjoint(_REVALIDATED):
        return 0.0, 0.0
    return (
        max(
            seconds(control.get("stale-while-revalidate", "")) or 0.0,
            rules.while_revalidating or 0.0,
        ),
        max(seconds(control.get("stale-if-error", "")) or 0.0, rules.if_error or 0.0),
    )


# -- what a request asks for ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wants:
    """What a request's Cache-Control, or else its Pragma, asks for (RFC 9111 section 5.2.1).
    Seconds; None: nothing was said."""

    no_store: bool = False
    only_if_cached: bool = False
    no_cache: bool = False
    max_age: float | None = None
    min_fresh: float | None = None
    max_stale: float | None = None


#: A request that says nothing of caches, as nearly all.
NOTHING = Wants()
# Where it cannot be told yet: nothing that is kept would do.
_UNKNOWN = Wants(no_cache=True)


def wants(asked: Asked) -> Wants:
    """What the request asks for; NOTHING itself if it says nothing."""
    text = asked.field("cache-control")
    if text == "":
        pragma = asked.field("pragma")
        if pragma == "":
            return NOTHING
        if pragma is None:
            return _UNKNOWN
        return Wants(no_cache="no-cache" in cache_control((pragma,)))
    if text is None:
        return _UNKNOWN
    said = cache_control((text,))
    stale = said.get("max-stale")
    return Wants(
        "no-store" in said,
        "only-if-cached" in said,
        "no-cache" in said,
        seconds(said.get("max-age", "")),
        seconds(said.get("min-fresh", "")),
        math.inf if stale == "" else seconds(stale or ""),
    )


# -- may it be used -------------------------------------------------------------------------------

#: fresh: use it. while_revalidating: use it, and ask for a new one beside the request. if_error:
#: ask, and use it if that fails. stale: ask, and do not use it without success.
Standing = Literal["fresh", "while_revalidating", "if_error", "stale"]


def standing(entry: Entry, now: float, asked: Wants = NOTHING) -> Standing:
    """How what is kept may be used (RFC 9111 section 4.2, RFC 5861). asked: what the client wants,
    where it may want anything; NOTHING otherwise."""
    age = entry.age + abs(now - entry.at)  # `age_at`, without a call
    if asked is NOTHING:
        if age < entry.lifetime and not entry.always_ask:
            return "fresh"
        return _stale(entry, age - entry.lifetime)
    return _wanted(entry, age, asked)


def _stale(entry: Entry, over: float) -> Standing:
    """What is possible with an answer whose time is over for so long."""
    if entry.always_ask:
        return "stale"
    if over < entry.while_revalidating:
        return "while_revalidating"
    return "if_error" if over < entry.if_error else "stale"


def _wanted(entry: Entry, age: float, asked: Wants) -> Standing:
    """As `standing`, for a client that has wishes (section 5.2.1)."""
    if asked.no_cache or entry.always_ask:
        return "stale"
    over = age - entry.lifetime
    old = asked.max_age is not None and age > asked.max_age
    if not old and over < 0 and over + (asked.min_fresh or 0.0) <= 0:
        return "fresh"
    if over >= 0 and not old and asked.min_fresh is None:
        if asked.max_stale is not None and over <= asked.max_stale and not _is_revalidated(entry):
            return "while_revalidating"
        if asked.max_age is None:
            return _stale(entry, over)
    # What is too old for this client alone is still better than an error.
    return "if_error" if over < entry.if_error else "stale"


def _is_revalidated(entry: Entry) -> bool:
    """Whether the backend forbids to use an answer after its time (section 4.2.4)."""
    own = targeted(entry.headers)
    if own is None:
        own = cache_control(v for n, v in entry.headers if n.lower() == "cache-control")
    return not own.keys().isdisjoint(_REVALIDATED)

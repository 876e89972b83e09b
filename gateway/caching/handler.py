"""What a cache does with a request: answer it, ask for it, or let it pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway import parallel
from gateway.caching.answers import Answers
from gateway.caching.asking import PASSED, Asking
from gateway.caching.collapsing import Collapsing, Flight
from gateway.caching.conditions import CONDITIONAL, FOR_ORIGINS, selected
from gateway.caching.freshness import NOTHING, Rules, Wants, standing, wants
from gateway.caching.invalidating import invalidate
from gateway.caching.keys import KeyOptions, Keys
from gateway.caching.refreshing import Refreshing
from gateway.caching.store import Outcome
from gateway.caching.storing import Shelf
from gateway.caching.tiers import TieredResponses
from gateway.caching.visit import Visit, nothing_kept
from gateway.exchange import Asked, Handler, UpstreamRequest, UpstreamResponse

_READING = frozenset({"GET", "HEAD"})
# By these, less than the whole answer may come.
_PARTS = CONDITIONAL | {"range"}


class Options(KeyOptions, Protocol):
    """The options of a policy; see policies/cache.py."""

    @property
    def client_no_cache(self) -> bool: ...
    @property
    def collapse(self) -> float: ...


class Cached:
    """The rest of a service's chain, behind answers that are kept in `store`.

    name: of this cache, as `Cache-Status` says it. listed: see Keys. prefixes: see invalidate.
    wall, monotonic: clocks. sleep, start: how to wait, and how to do something beside the requests.
    """

    def __init__(
        self,
        following: Handler,
        service: str,
        options: Options,
        rules: Rules,
        store: TieredResponses,
        name: str = "gatehouse",
        *,
        listed: bool = True,
        prefixes: Sequence[str] = (),
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        start: Callable[[Callable[[], object]], bool] = parallel.start,
    ) -> None:
        self._following = following
        self._store = store
        self._obeys = options.client_no_cache
        self._wait = options.collapse
        self._prefixes = prefixes
        self._wall = wall
        self._monotonic = monotonic
        self._shelf = Shelf(Keys(service, options, listed=listed), store, options.vary)
        self._answers = Answers(name)
        self._collapsing = Collapsing(store, options.collapse, monotonic=monotonic, sleep=sleep)
        self._asking = Asking(following, self._shelf, rules, self._answers, self._collapsing, wall)
        self._refreshing = Refreshing(
            self._asking, self._shelf, self._collapsing, wall, start, rules.max_bytes
        )

    def early(self, asked: Asked) -> UpstreamResponse | None:
        """See exchange.Early: an answer that is fresh and at hand, or None. For GET and HEAD
        without a body. Raises nothing."""
        entry = self._shelf.ready(asked)
        if entry is None:
            return None
        now = self._wall()
        if standing(entry, now, self._wishes(asked)) != "fresh":
            return None
        picked = selected(entry, asked)
        return None if picked is None else self._answers.kept(asked, entry, picked, now)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """The answer. Raises Refusal (504) where only what is kept was wanted, ClientGone if the
        client leaves while it waits, and what the rest of the chain raises."""
        if request.method not in _READING:
            response = self._following(request)
            invalidate(self._store.purge, request, response, self._prefixes)
            return self._answers.passed(request, response, "BYPASS", "fwd=method")
        place = None if request.body is not None else self._shelf.find(request)
        if place is None:
            return self._pass(request, "fwd=bypass")
        visit = Visit(request, place, self._wishes(request))
        answer = self._at_hand(visit)
        if answer is not None:
            return answer
        if visit.wants.only_if_cached:
            raise nothing_kept()
        return self._go_on(visit) or self._collapsed(visit)

    def _wishes(self, asked: Asked) -> Wants:
        """What the client asks of caches, as far as it counts."""
        return wishes(asked, obeys=self._obeys)

    def _at_hand(self, visit: Visit) -> UpstreamResponse | None:
        """An answer out of what is kept, if that may be used without asking."""
        now, entry = self._wall(), visit.place.entry
        waited = visit.status() if visit.collapsed else ""
        visit.look(now)
        if entry is None or visit.standing not in ("fresh", "while_revalidating"):
            return None
        picked = selected(entry, visit.request)
        if picked is None:
            return None
        label = "HIT"
        if visit.standing == "while_revalidating":
            label = "STALE"
            self._refreshing.begin(visit)
        return self._answers.kept(visit.request, entry, picked, now, label, waited)

    def _untouched(self, visit: Visit) -> UpstreamResponse | None:
        """The answer to a request that passes as it is, and whose answer is not kept."""
        request, place = visit.request, visit.place
        names = {name.lower() for name, _ in request.headers}
        visit.passed = place.is_passed(self._wall())
        if visit.passed:
            if not names.isdisjoint(_PARTS) or visit.wants.no_store or request.method == "HEAD":
                return self._go_by(visit, PASSED)
            visit.back()
            return self._asking.ask(visit)  # this answer may be one to keep
        if names & FOR_ORIGINS:
            return self._go_by(visit, "fwd=request")
        if place.entry is None and "range" in names:
            return self._go_by(visit, visit.status("detail=range"))
        if visit.wants.no_store or (place.entry is None and request.method == "HEAD"):
            return self._go_by(visit, visit.status(), "MISS")
        return None

    def _go_by(self, visit: Visit, status: str, label: str = "BYPASS") -> UpstreamResponse:
        visit.back()
        return self._pass(visit.request, status, label)

    def _pass(
        self, request: UpstreamRequest, status: str, label: str = "BYPASS"
    ) -> UpstreamResponse:
        return self._answers.passed(request, self._following(request), label, status)

    def _is_awaited(self, visit: Visit) -> bool:
        """Whether somebody else's answer may be this one's too."""
        if not self._wait or visit.wants is not NOTHING or visit.request.method != "GET":
            return False
        entry = visit.place.entry
        return entry is None or (not entry.always_ask and entry.lifetime > entry.age)

    def _collapsed(self, visit: Visit) -> UpstreamResponse:
        """What is kept once somebody has asked for it: this request, or one that it waits for."""
        end = min(self._monotonic() + self._wait, visit.request.deadline)
        answer = None
        while answer is None:
            turn = self._collapsing.turn(
                visit.place.key, end, visit.request.abandoned, visit.stand_aside
            )
            answer = self._lead(visit, turn) if isinstance(turn, Flight) else self._go(visit, turn)
        visit.over()
        return answer

    def _lead(self, visit: Visit, flight: Flight) -> UpstreamResponse | None:
        """The answer to the request that others wait for; None if it is to wait elsewhere."""
        try:
            self._look_again(visit)
            answer = self._at_hand(visit)
            place = visit.place
            asks = place.key == flight.key and not place.is_passed(self._wall())
            if answer is None and asks and self._is_awaited(visit):
                visit.back()
                return self._asking.ask(visit, flight)
        except BaseException:
            self._collapsing.end(flight, "again")
            raise
        self._collapsing.end(flight, "again")
        return answer or self._go_on(visit)

    def _go(self, visit: Visit, outcome: Outcome) -> UpstreamResponse | None:
        """The answer to a request that has waited; None if it is to wait again."""
        visit.collapsed = True
        self._look_again(visit)
        answer = self._at_hand(visit)
        if answer is not None:
            return answer
        if outcome == "failed" and visit.standing == "if_error":
            return self._asking.stale(visit)
        return self._go_on(visit, alone=outcome != "again")

    def _go_on(self, visit: Visit, *, alone: bool = False) -> UpstreamResponse | None:
        """The upstream's answer, where nobody is to be waited for; None where somebody is."""
        answer = self._untouched(visit)
        if answer is None and (alone or not self._is_awaited(visit)):
            visit.back()
            answer = self._asking.ask(visit)
        return answer

    def _look_again(self, visit: Visit) -> None:
        place = self._shelf.find(visit.request, surely=True)
        if place is not None:
            visit.place = place


def wishes(asked: Asked, *, obeys: bool) -> Wants:
    """What the client asks of caches, as far as it counts. obeys: Cache.client_no_cache."""
    told = wants(asked)
    if told is NOTHING or obeys:
        return told
    if told.no_store or told.only_if_cached:
        return Wants(told.no_store, told.only_if_cached)
    return NOTHING

"""Asking the upstream, and keeping what it answers while the client gets it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.caching.answers import Answers
from gateway.caching.collapsing import Collapsing, Flight
from gateway.caching.conditions import Selected, describes, matches, renewed, selected
from gateway.caching.entry import Entry
from gateway.caching.freshness import FAILED, Rules, Verdict, judge
from gateway.caching.revalidating import asking_anew, own_cookies, tell_outage
from gateway.caching.store import Outcome, Ticket
from gateway.caching.storing import Keeping, Shelf, tags_of
from gateway.caching.visit import Visit
from gateway.detached import read_over
from gateway.errors import BodyFailed, UpstreamError
from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse
from gateway.response_bodies import StaticBody, TeedBody, is_whole

# By these, the backend says that there is nothing for this caller, or nothing at all.
_GONE = frozenset({401, 403, 404, 410, 451})

#: What Cache-Status says where answers were not kept, and this one is not either.
PASSED = "fwd=bypass; detail=passed"


@dataclass(slots=True)
class _Question:
    """What is asked upstream. sent: the request as it is sent. asked_at: a wall time. flight: of
    those who wait for the answer."""

    visit: Visit
    sent: UpstreamRequest
    ticket: Ticket | None
    asked_at: float
    flight: Flight | None


class Asking:
    """The way from a cache to the upstream and back. rules: what the operator says of answers.
    wall: the time now."""

    def __init__(
        self,
        following: Handler,
        shelf: Shelf,
        rules: Rules,
        answers: Answers,
        collapsing: Collapsing,
        wall: Callable[[], float],
    ) -> None:
        self._following = following
        self._shelf = shelf
        self._rules = rules
        self._answers = answers
        self._collapsing = collapsing
        self._wall = wall

    def ask(self, visit: Visit, flight: Flight | None = None) -> UpstreamResponse:
        """The upstream's answer, or what is kept, if that says or allows it. What may be kept is,
        when its body has come to its end.

        flight: of those who wait for it; they go on as soon as it is clear what they get. Raises
        what the rest of the chain raises.
        """
        request, entry = visit.request, visit.place.entry
        sent = replace(request, headers=asking_anew(request, entry))
        ticket = self._shelf.ticket(visit.place)
        question = _Question(visit, sent, ticket, self._wall(), flight)
        visit.asked = True
        try:
            response = self._following(sent)
        except UpstreamError as error:
            self._let_go(flight, "failed")
            if visit.standing != "if_error":
                raise
            return self.stale(visit, tell_outage(request, error))
        except BaseException:
            self._let_go(flight, "again")
            raise
        if response.status in FAILED and visit.standing == "if_error":
            response.body.close()
            self._let_go(flight, "failed")
            return self.stale(visit, tell_outage(request, response))
        if response.status == 304 and entry is not None and (entry.etag or entry.modified):
            response.body.close()
            if matches(entry, response):
                return self._renewed(question, entry, response)
            # It is about something that is not kept here: ask for all of it.
            visit.place, visit.standing = replace(visit.place, entry=None), "stale"
            return self.ask(visit, flight)
        return self._answered(question, response)

    def stale(self, visit: Visit, *told: str) -> UpstreamResponse:
        """What is kept, because asking failed (RFC 5861 section 4). told: of Cache-Status."""
        entry = visit.place.entry
        if entry is None:
            raise ValueError("nothing is kept")
        return self._kept(visit, entry, _picked(entry, visit.request), "STALE", *told)

    def _renewed(
        self, question: _Question, old: Entry, response: UpstreamResponse
    ) -> UpstreamResponse:
        """What is kept is still good, and kept anew (RFC 9111 section 4.3.4)."""
        visit = question.visit
        entry, verdict, stored = self._renew(question, old, response)
        self._let_go(question.flight, "again" if stored and _is_shared(verdict) else "alone")
        picked = _picked(entry, visit.request)
        picked.headers.extend(own_cookies(response))
        return self._kept(visit, entry, picked, "REVALIDATED", "fwd-status=304", *_stored(stored))

    def _renew(
        self, question: _Question, old: Entry, response: UpstreamResponse
    ) -> tuple[Entry, Verdict, bool]:
        """Keep on what is kept, as an answer without its body says; whether it is there."""
        visit = question.visit
        entry, verdict = renewed(
            old, question.sent, response, self._rules, asked_at=question.asked_at, now=self._wall()
        )
        entry = replace(entry, tags=tags_of(response.headers) or old.tags)
        stored = verdict.keep and self._shelf.keep(
            visit.place, visit.request, entry, question.ticket, verdict.vary
        )
        if not verdict.keep and not self._refused(question, verdict):
            self._shelf.drop(visit.place)
        return entry, verdict, stored

    def _headed(self, question: _Question, old: Entry, response: UpstreamResponse) -> None:
        """Keep on what is kept, or not, by what HEAD brought (RFC 9111 section 4.3.5)."""
        if describes(old, response):
            self._renew(question, old, response)
        else:
            self._shelf.drop(question.visit.place)

    def _answered(self, question: _Question, response: UpstreamResponse) -> UpstreamResponse:
        """An answer of its own."""
        visit, now = question.visit, self._wall()
        entry, is_head = visit.place.entry, visit.request.method == "HEAD"
        if entry is not None and is_head and response.status == 200:
            self._headed(question, entry, response)
        verdict = judge(question.sent, response, self._rules, asked_at=question.asked_at, now=now)
        if verdict.keep and question.ticket is not None:
            return self._keeping(question, response, verdict, now)
        if visit.passed:  # it is marked already
            return self._answers.passed(visit.request, response, "BYPASS", PASSED)
        if not self._refused(question, verdict) and response.status in _GONE:
            self._shelf.drop(visit.place)
        self._let_go(question.flight, "alone")
        told = [f"detail={verdict.why}"] if verdict.why and not is_head else []
        return self._answers.passed(visit.request, response, "MISS", visit.status(*told))

    def _keeping(
        self, question: _Question, response: UpstreamResponse, verdict: Verdict, now: float
    ) -> UpstreamResponse:
        """An answer that is kept when all of it has come."""
        visit, flight, most = question.visit, question.flight, self._rules.max_bytes
        request, ticket = visit.request, question.ticket
        keeping = Keeping(
            self._shelf, visit.place, request, ticket, response, verdict, at=now, most=most
        )
        if not _is_shared(verdict):
            self._let_go(flight, "alone")

        def over(body: bytes | None, size: int) -> None:
            self._let_go(flight, keeping(body, size))

        # Nobody need wait for a client that reads it slowly; of a 204, nothing is read at all.
        if is_whole(response.body) or response.status == 204:
            data = b"".join(response.body)
            response.body.close()
            over(data, len(data))
            response.body = StaticBody(data)
            picked = _picked(replace(keeping.entry, body=data), request)
        else:
            response.body = TeedBody(response.body, most, over)
            request.exchange.bodies.append(response.body)
            picked = _picked(keeping.entry, _for_all(request))
            if picked.status == 304:
                with suppress(BodyFailed):
                    read_over(response, request.deadline, most)
        if picked.status == response.status:
            return self._answers.passed(request, response, "MISS", visit.status("stored"))
        picked.headers.extend(own_cookies(response))
        return self._kept(visit, keeping.entry, picked, "MISS", "stored")

    def _refused(self, question: _Question, verdict: Verdict) -> bool:
        """Have nobody wait for answers like this one; False if others may be different."""
        visit = question.visit
        if verdict.lasting:
            self._shelf.mark(visit.place, visit.request, question.ticket, self._wall())
        return verdict.lasting

    def _kept(
        self, visit: Visit, entry: Entry, picked: Selected, label: str, *told: str
    ) -> UpstreamResponse:
        return self._answers.kept(
            visit.request, entry, picked, self._wall(), label, visit.status(*told)
        )

    def _let_go(self, flight: Flight | None, outcome: Outcome) -> None:
        if flight is not None:
            self._collapsing.end(flight, outcome)


def _picked(entry: Entry, request: UpstreamRequest) -> Selected:
    """What is answered with; requests with conditions for the upstream alone do not come here."""
    picked = selected(entry, request)
    if picked is None:
        raise ValueError("the conditions are for the upstream")
    return picked


def _for_all(request: UpstreamRequest) -> UpstreamRequest:
    """A request for more than a range: of a body that is still coming, no part can be cut."""
    fields = [field for field in request.headers if field[0].lower() != "range"]
    return request if len(fields) == len(request.headers) else replace(request, headers=fields)


def _stored(stored: bool) -> list[str]:
    return ["stored"] if stored else []


def _is_shared(verdict: Verdict) -> bool:
    """Whether those who wait for an answer can use it, without asking about it."""
    return not verdict.always_ask and verdict.lifetime > verdict.age

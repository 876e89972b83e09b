"""Legs asked side by side: each is started when what it needs is there, all within one budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any

from flask import current_app, request

from gateway import parallel
from gateway.aggregation.answer import COMPLETED, Gathered
from gateway.aggregation.asking import BUG, Call
from gateway.aggregation.dispatcher import Dispatcher
from gateway.aggregation.failing import raise_for
from gateway.aggregation.leg import After, Leg, LegFailed, after
from gateway.aggregation.leg_path import UnusablePath
from gateway.aggregation.outline import ClientRequest
from gateway.errors import ClientGone, Refusal, UpstreamError, deadline_exceeded
from gateway.exchange import Exchange
from gateway.frontend import LEG_BYTES, LEGS, Frontend

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.service import Service

#: The share of a view's time that its legs have; the rest is for what it makes of them.
SHARE = 0.85
# The client is looked at as often as the transport does it.
_SLICE = 0.5
# A leg ends by itself at its deadline; one that cannot be interrupted is not waited for.
_GRACE = 0.1

Part = Leg | list[Leg] | After | Callable[..., Any]


def gather(**parts: Part) -> Gathered:
    """Ask several services at the same time, and return what they answered, by name.

    parts: legs made by `Service.fetch`, lists of them, and functions of other parts, which are
    called when those are there (see `after`). The legs have 85 % of the view's time, counted from
    the request's arrival; what is not there by then counts as failed.

    A leg that fails gives its `fallback` or `default`, and `degraded` names it; a `required` one
    ends the view: with its own status where that is 401, 403, 404, 410 or 429, with 502, 503 or
    504 otherwise. Legs that are still under way then are cancelled.

    Raises Refusal (400 `too_many_parts`) for more legs than the frontend's `legs`, NotSent (504)
    when no time is left, ClientGone, and ValueError for parts that wait for each other.
    """
    environ = request.environ
    connection = environ["gateway.client"]
    exchange: Exchange = environ["gateway.exchange"]
    gateway: Gateway = current_app.extensions["gateway"]
    gateway.capacity.enter(exchange, connection.abandoned)
    limits = Limits.of(environ["gateway.route"].service)
    added, incomplete = environ["gateway.added"], (COMPLETED, "false")
    if incomplete in added:  # by an earlier gather, which the view can do without
        added.remove(incomplete)
    started = time.monotonic()
    end = exchange.started + SHARE * (limits.total or gateway.settings.TOTAL_TIMEOUT)
    dispatcher, client = Dispatcher.of(current_app), ClientRequest.of(environ)
    work = _Gathering(dispatcher, client, end, connection.abandoned, limits)
    try:
        found = work.done(parts)
    except (Refusal, UpstreamError, ClientGone) as error:
        added.append(incomplete)
        # Its traceback leads to the parts, and some of them to it: a cycle.
        raise error.with_traceback(None) from None
    finally:
        work.close()
        exchange.upstream_seconds += time.monotonic() - started
    exchange.degraded += [f"{name}: {failed.reason}" for name, failed in found.failed.items()]
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the gathers of a view. uses: the services it may ask, None for any."""

    total: float | None
    legs: int
    leg_bytes: int
    uses: frozenset[Service] | None = None

    @classmethod
    def of(cls, service: Service | None) -> Limits:
        """Those of the service that has the view."""
        total = None if service is None else service.timeouts.total
        if isinstance(service, Frontend):
            return cls(total, service.legs, service.leg_bytes, frozenset(service.uses))
        return cls(total, LEGS, LEG_BYTES)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer of a leg belongs. index: in a part that is a list."""

    name: str
    index: int | None
    leg: Leg

    @property
    def label(self) -> str:
        """What it is called in `degraded`."""
        return self.name if self.index is None else f"{self.name}.{self.index}"


class _Gathering:
    """The parts of one gather on their way. One thread works with it; calls run on others."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        client: ClientRequest,
        end: float,
        gone: Callable[[], bool],
        limits: Limits,
    ) -> None:
        self._dispatcher = dispatcher
        self._client = client
        self._end = end
        self._gone = gone
        self._limits = limits
        self._over = False
        self._here = get_ident()
        self._values: dict[str, Any] = {}
        self._failed: dict[str, LegFailed] = {}
        #: Those of them that something good stands for: what needs them has it.
        self._stood_for: set[str] = set()
        self._begun = 0
        self._ended: SimpleQueue[Call] = SimpleQueue()
        self._calls: dict[Call, Place] = {}
        #: Legs that are to come of each part under way.
        self._missing: dict[str, int] = {}
        self._later: dict[str, After] = {}

    def done(self, parts: Mapping[str, Part]) -> Gathered:
        """Ask, and wait for all of it."""
        if time.monotonic() >= self._end:
            raise deadline_exceeded()
        self._values = dict.fromkeys(parts)
        for name, part in parts.items():
            if isinstance(part, After) or callable(part):
                self._later[name] = part if isinstance(part, After) else after(part)
            else:
                self._begin(name, part)
        for name, late in self._later.items():
            if unknown := set(late.needs) - set(parts):
                raise ValueError(f"{name} needs parts that there are not: {sorted(unknown)}")
        self._follow()
        while self._calls:
            self._take(*self._next())
            self._follow()
        if self._later:
            raise ValueError(f"parts wait for each other, or for none: {', '.join(self._later)}")
        order = {name: place for place, name in enumerate(parts)}
        return Gathered(
            self._values, dict(sorted(self._failed.items(), key=partial(_position, order)))
        )

    def close(self) -> None:
        """Cancel what is still under way."""
        self._over = True
        for call in self._calls:
            self._client.exchange.attempts += call.attempts
        self._calls.clear()
        self._failed = {}

    def _begin(self, name: str, part: object) -> None:
        if isinstance(part, Leg):
            self._missing[name] = 1
            self._count(part)
            self._start(Place(name, None, part))
        elif isinstance(part, list) and all(isinstance(one, Leg) for one in part):
            self._values[name] = [None] * len(part)
            if part:
                self._missing[name] = len(part)
            self._count(*part)
            for index, leg in enumerate(part):
                self._start(Place(name, index, leg))
        elif name in self._later:
            self._values[name] = part
        else:
            raise TypeError(f"{name} is no leg, list of legs or function: {part!r}")

    def _count(self, *legs: Leg) -> None:
        """See whether these may be asked. What stands for them when they fail does not count."""
        self._begun += len(legs)
        if self._begun > self._limits.legs:
            raise Refusal("The request asks for too much at once.", slug="too_many_parts")
        uses = self._limits.uses
        for service in (one.service for leg in legs for one in _with_fallbacks(leg)):
            if uses is not None and service not in uses:
                raise ValueError(f"service {service.name!r} is not in uses")

    def _start(self, place: Place) -> None:
        try:
            call = self._dispatcher.call(
                place.leg, self._client, self._end, self._cancelled, self._limits.leg_bytes
            )
        except Refusal as refused:
            error = refused.with_traceback(None)
            self._fail(place, LegFailed(refused.slug, refused.code or 502, error))
            return
        self._calls[call] = place
        if not parallel.start(partial(call.run, self._ended.put)):
            if self._gone():
                raise ClientGone
            call.run(self._ended.put)  # too much is under way beside requests: here, then

    def _cancelled(self) -> bool:
        # Of a call that runs here, nobody else looks whether the client is still there.
        return self._over or (get_ident() == self._here and self._gone())

    def _next(self) -> tuple[Call, LegFailed | None]:
        """The next call that is over, or whose time is."""
        first = min(self._calls, key=_end)
        while True:
            left = first.end + _GRACE - time.monotonic()
            try:
                call = self._ended.get(timeout=max(min(_SLICE, left), 0.001))
            except Empty:
                if self._gone():
                    raise ClientGone from None
                if left <= 0:
                    return first, LegFailed("http_response_timeout", 504)
            else:
                return call, call.failed

    def _take(self, call: Call, failed: LegFailed | None) -> None:
        place = self._calls.pop(call, None)
        if place is None:
            return  # it was not waited for any more
        self._client.exchange.attempts += call.attempts
        if failed is None:
            if call.fallback:
                self._failed[place.label] = LegFailed(f"fallback_{call.fallback}")
            if place.label in self._failed:
                self._stood_for.add(place.label)
            self._put(place, call.value)
        elif failed.reason == BUG and failed.error is not None:
            raise failed.error
        else:
            self._fail(place, failed)

    def _fail(self, place: Place, failed: LegFailed) -> None:
        """Let something stand for a leg, or end all."""
        leg = place.leg
        self._failed[place.label] = failed
        fallback = leg.fallback
        if isinstance(fallback, Leg):
            options = {"required": leg.required, "default": leg.default}
            self._start(Place(place.name, place.index, replace(fallback, **options)))
        elif fallback is not None:
            self._stood_for.add(place.label)
            self._put(place, fallback(failed))
        elif leg.required:
            raise_for(failed)
        else:
            self._put(place, _own(leg.default))

    def _put(self, place: Place, value: Any) -> None:
        if place.index is None:
            self._values[place.name] = value
        else:
            self._values[place.name][place.index] = value
        self._missing[place.name] -= 1
        if not self._missing[place.name]:
            del self._missing[place.name]

    def _follow(self) -> None:
        """Begin what has all that it needs, until nothing more has."""
        going = bool(self._later)
        while going:
            going = False
            for name, part in list(self._later.items()):
                if any(one in self._missing or one in self._later for one in part.needs):
                    continue
                self._resolve(name, part)
                del self._later[name]
                going = True

    def _resolve(self, name: str, part: After) -> None:
        for needed in part.needs:
            if needed in self._failed and needed not in self._stood_for:
                self._do_without(name, part, self._failed[needed])
                return
        try:
            made = part.function(*[self._values[needed] for needed in part.needs])
        except UnusablePath as refused:  # what it is made of, backends have said: no client's fault
            failed = LegFailed(refused.slug)
        else:
            self._begin(name, made)
            return
        self._do_without(name, part, failed)

    def _do_without(self, name: str, part: After, failed: LegFailed) -> None:
        self._failed[name] = failed
        if part.required:
            raise_for(failed)
        self._values[name] = _own(part.default)


def _with_fallbacks(leg: Leg | Callable[..., Any] | None) -> Iterator[Leg]:
    while isinstance(leg, Leg):
        yield leg
        leg = leg.fallback


def _end(call: Call) -> float:
    return call.end


def _own(default: Any) -> Any:
    """A default for one request, which may change it: a leg may be of use for many."""
    return deepcopy(default) if isinstance(default, list | dict) else default


def _position(order: Mapping[str, int], item: tuple[str, LegFailed]) -> tuple[int, int]:
    """Where a part that failed stands among the parts, and in its list."""
    label = item[0]
    if label in order:
        return order[label], 0
    name, _, index = label.rpartition(".")
    return order[name], int(index)

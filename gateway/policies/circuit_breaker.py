"""Not asking an upstream that fails: it gets time to recover, and clients an answer at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal

from gateway.errors import NoTarget, NotSent, UpstreamError
from gateway.exchange import UNAVAILABLE, Handler, UpstreamRequest, UpstreamResponse
from gateway.policies.circuit import Circuit, Rules, Ticket
from gateway.policy import Explained, PolicyContext
from gateway.response_bodies import is_whole, watch

Outcome = UpstreamResponse | UpstreamError

#: Beats after which what a worker holds of a target that gets no requests is dropped: an hour.
_IDLE_BEATS = 14_400


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Sends nothing to an upstream that keeps failing; all workers share one circuit.

    Raises NotSent (503 `circuit_open`, with Retry-After) while it is open; nothing was sent then.

    failures: in a row that open it; None or 0: any number.
    ratio: share of failures among at least `minimum` requests of the last `window` seconds that
        opens it, too; None: none does.
    recovery: seconds for which it is open. Then a single request tries: if it goes well the circuit
        closes, otherwise it stays open for twice as long, three times and so on, up to `longest`.
        A tenth of that comes on top by lot.
    scope: "service": one circuit; "target": one for each instance, the others go on. An instance
        with an open circuit is not chosen.
    statuses: those that are failures. 500 is not: it is mostly one request's fault.
    counts: your own rule, asked with each response or UpstreamError; None: the statuses, and the
        errors whose party is the upstream, such as timeouts and broken bodies.

    A client that leaves or whose body breaks, a busy connection pool, and what another policy
    keeps back are neither success nor failure.
    """

    failures: int | None = 5
    ratio: float | None = 0.5
    minimum: int = 20
    window: float = 10.0
    recovery: float = 30.0
    longest: float = 300.0
    scope: Literal["service", "target"] = "service"
    statuses: Collection[int] = UNAVAILABLE
    counts: Callable[[Outcome], bool] | None = None
    draw: Callable[[], float] = field(default=random.random, repr=False)

    once: ClassVar[bool] = True

    @property
    def per(self) -> str:
        """Where it makes sense: above what repeats, failures of single targets are not seen."""
        return "attempt" if self.scope == "target" else "either"

    def wrap(self, following: Handler, context: PolicyContext) -> Handler:
        """See gateway.policy."""
        breaker = _Breaker(self, following, context)
        context.pulse.at_beat(breaker.beat)
        return breaker.ask_target if self.scope == "target" else breaker.ask_service

    def explained(self, request: UpstreamRequest, context: PolicyContext) -> Explained:
        """See gateway.policy."""
        name = _name(context)

        def waiting(name: str) -> float:
            return Circuit(name, self.rules, context.state, self.draw).waiting()

        if self.scope == "target":
            return Explained(admit=lambda target: not waiting(f"{name}/{target}"))
        wait = waiting(name)
        refuses = NotSent("circuit_open", retry_after=wait) if wait else None
        return Explained(circuit=name, refuses=refuses)

    @property
    def rules(self) -> Rules:
        """When a circuit opens, and for how long."""
        return Rules(
            self.failures or 0,
            self.ratio,
            self.minimum,
            self.window,
            self.recovery,
            self.longest,
        )

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        return [
            said
            for wrong, said in (
                (self.failures is not None and self.failures < 0, "failures is below 0"),
                (
                    self.ratio is not None and not 0 < self.ratio <= 1,
                    f"ratio={self.ratio} is a share, above 0 and up to 1",
                ),
                (
                    not self.failures and self.ratio is None,
                    "without failures and ratio it never opens: leave it out",
                ),
                (self.minimum < 1, f"minimum={self.minimum} must be at least 1"),
                (not self.window > 0, f"window={self.window} must be above 0"),
                (
                    not 0 < self.recovery <= self.longest,
                    f"recovery={self.recovery} must be above 0 and at most longest={self.longest}",
                ),
                (
                    self.scope not in ("service", "target"),
                    f"scope={self.scope!r} must be 'service' or 'target'",
                ),
                (
                    any(not 100 <= status <= 599 for status in self.statuses),
                    "statuses must lie between 100 and 599",
                ),
            )
            if wrong
        ]

    def is_failure(self, outcome: Outcome) -> bool:
        """Whether the upstream failed."""
        if self.counts is not None:
            return self.counts(outcome)
        if isinstance(outcome, UpstreamResponse):
            return outcome.status in self.statuses
        return outcome.party == "upstream"


def _name(context: PolicyContext) -> str:
    """What its circuits are called. A view's own is not its service's: failures of one view open
    it."""
    return "/".join(filter(None, (context.service, context.view)))


class _Breaker:
    """The circuits of one service as a worker sees them, in front of the rest of the chain."""

    def __init__(self, options: CircuitBreaker, following: Handler, context: PolicyContext) -> None:
        self._options = options
        self._next = following
        self._service = _name(context)
        self._state = context.state
        self._rules = options.rules
        self._circuits: dict[str, Circuit] = {}
        self._whole = self._circuit(self._service)

    def _circuit(self, name: str) -> Circuit:
        circuit = self._circuits.get(name)
        if circuit is None:
            made = Circuit(name, self._rules, self._state, self._options.draw)
            circuit = self._circuits.setdefault(name, made)
        return circuit

    def beat(self) -> None:
        """See Circuit.beat; circuits of targets that are gone are dropped."""
        for name, circuit in list(self._circuits.items()):
            circuit.beat()
            if circuit.idle_beats > _IDLE_BEATS and circuit is not self._whole:
                del self._circuits[name]

    def ask_service(self, request: UpstreamRequest) -> UpstreamResponse:
        """Ask if the service's circuit lets us."""
        ticket = self._whole.enter()
        if not isinstance(ticket, Ticket):
            raise NotSent("circuit_open", retry_after=ticket)
        try:
            response = self._next(request)
            bad = self._options.is_failure(response)
        except UpstreamError as error:
            self._broken(ticket, error)
            raise
        except BaseException:
            ticket.void()
            raise
        return self._answered(request, response, ticket, bad)

    def ask_target(self, request: UpstreamRequest) -> UpstreamResponse:
        """Ask an instance whose circuit lets us."""
        tickets: dict[str, Ticket] = {}
        waits: list[float] = []
        others = request.admit

        def admit(name: str) -> bool:
            if others is not None and not others(name):
                return False
            ticket = tickets.get(name) or self._circuit(f"{self._service}/{name}").enter()
            if isinstance(ticket, Ticket):
                tickets[name] = ticket
                return True
            waits.append(ticket)
            return False

        try:
            response = self._next(replace(request, admit=admit))
            bad = self._options.is_failure(response)
            ticket = tickets.pop(response.target, None)
        except NoTarget:
            if waits:
                raise NotSent("circuit_open", retry_after=min(waits)) from None
            raise
        except UpstreamError as error:
            if ticket := tickets.pop(error.target, None):
                self._broken(ticket, error)
            raise
        finally:
            for unused in tickets.values():  # taken, but another policy chose differently
                unused.void()
        return response if ticket is None else self._answered(request, response, ticket, bad)

    def _answered(
        self, request: UpstreamRequest, response: UpstreamResponse, ticket: Ticket, bad: bool
    ) -> UpstreamResponse:
        if not response.target:  # another policy has answered
            ticket.void()
        elif bad:
            ticket.failed()
        elif is_whole(response.body):
            ticket.good()
        else:
            if ticket.probe:  # a body may stream for hours
                ticket.good()
                ticket = ticket.circuit.under_way()
            return watch(request, response, partial(self._over, ticket))
        return response

    def _over(self, ticket: Ticket, error: BaseException | None) -> None:
        """The body's end. One that is broken off on the client's side was good so far."""
        if error is None:
            ticket.good()
        else:
            self._broken(ticket, error)

    def _broken(self, ticket: Ticket, error: BaseException) -> None:
        bad = False
        try:
            if isinstance(error, UpstreamError) and not isinstance(error, NoTarget | NotSent):
                bad = self._options.is_failure(error)
        finally:
            (ticket.failed if bad else ticket.void)()

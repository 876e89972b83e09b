"""What walks through the rooms: the request outlined for an upstream, its response, the record.

Rooms 3 to 5 take these as arguments and read no Flask globals, so they run without an
application and on any thread or greenlet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gateway.policy import PolicyContext
    from gateway.requester import Requester

Headers = list[tuple[str, str]]


class SignedValue(str):
    """A field value that the gateway signs anew now and then. `meaning` stays the same for the
    same content, and is another one for another."""

    __slots__ = ("meaning",)
    meaning: str


#: Methods that may be repeated: twice has the effect of once (RFC 9110 section 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Statuses by which a backend, or what stands before it, says that it cannot serve.
UNAVAILABLE = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds. None takes the setting of the same name.

    connect: to make a connection. read: between two bytes of the upstream's answer, before or
    inside the body; raise it for streams that are silent for long. total: from the request's
    arrival to the upstream's response head; a body may stream for longer, as long as it moves.
    """

    connect: float | None = None
    read: float | None = None
    total: float | None = None

    def over(self, other: Timeouts) -> Timeouts:
        """These timeouts, with what they leave open taken from `other`."""
        return Timeouts(
            other.connect if self.connect is None else self.connect,
            other.read if self.read is None else self.read,
            other.total if self.total is None else self.total,
        )

    def __post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"timeout {name}={value!r} must be above 0")


@dataclass(slots=True)
class Attempt:
    """One try to get an answer from one target. `sent`: it may have worked on the request."""

    target: str
    started: float
    ended: float = 0.0
    error: str = ""
    sent: bool = True


class BodySource(Protocol):
    """A request body that is still arriving; `gateway.bodies.RequestBody` is a client's.

    length: the declared length in bytes, None when chunked. idle: how long to wait for the next
    byte, in seconds. finished: whether all of it, and of a chunked one the end, was given out.
    """

    @property
    def length(self) -> int | None: ...

    @property
    def idle(self) -> float | None: ...

    @property
    def finished(self) -> bool: ...

    @property
    def at_hand(self) -> bool:
        """Whether the next piece need not be waited for."""
        ...

    def next_piece(self, deadline: float | None = None) -> bytes:
        """The next bytes, waited for until `deadline`, a monotonic time; empty at the end.

        Raises ClientBodyError or ClientGone.
        """
        ...

    def fileno(self) -> int | None:
        """What to wait on for more, a descriptor; None if there is nothing."""
        ...


class ResponseBody(Protocol):
    """A response body that is still arriving.

    Iterating yields its bytes as they come and raises BodyFailed if it ends early. `close` gives
    the connection back, or closes it if the body was not read to its end; it may be called twice.
    """

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Aside(Protocol):
    """A request that has given its place to others for as long as it waits for something else than
    an upstream. To be told how that ended; both may be called more than once."""

    def over(self) -> None:
        """Nothing is forwarded any more."""
        ...

    def back(self) -> None:
        """It is forwarded all the same. Raises NotSent if no place comes free, or ClientGone."""
        ...


@dataclass(slots=True)
class Exchange:
    """The record of one request, from arrival to the last byte; the access log is made of it.

    Times are seconds of a monotonic clock. `started` is when the request arrived, at the platform
    in front of us if that says so; `queued` are the seconds it then waited there. `party` names
    who failed: client, gateway or upstream; empty when nobody did.
    """

    request_id: str
    started: float
    service: str = ""
    route: str = ""
    user: str = ""
    client: str = ""
    party: str = ""
    reason: str = ""
    queued: float = 0.0
    head_at: float = 0.0
    upstream_seconds: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)
    #: Response bodies opened for this request; closed at its end, also if nobody relayed them.
    bodies: list[ResponseBody] = field(default_factory=list)
    #: What a cache did for the request, as `X-Cache` says it; empty where there is none.
    cache: str = ""
    #: The version of the service that it is for; empty where that has none.
    version: str = ""
    #: What an aggregated answer had to do without, and why.
    degraded: list[str] = field(default_factory=list)
    #: Limits that would have refused the request, were they not on trial.
    dry_run: list[str] = field(default_factory=list)
    #: Whether the request has its place among those its worker forwards, and what gives it to
    #: others while it waits for something else; None where there is nothing to give. It is told
    #: the exchange: one that knew it would be a cycle, which only the collector could free.
    placed: bool = False
    aside: Callable[[Exchange, Callable[[], bool]], Aside] | None = None
    #: What is to be done at the request's end, however that comes.
    endings: list[Callable[[], None]] = field(default_factory=list)

    def blame(self, party: str, reason: str) -> None:
        """Note who failed and why; the first to fail is the one that counts."""
        if not self.party:
            self.party, self.reason = party, reason

    def end(self) -> None:
        """Do what is to be done at the end, the last first, each once. One that fails keeps no
        other from being done."""
        while self.endings:
            try:
                self.endings.pop()()
            except BaseException:
                self.end()
                raise


def derived(
    main: Exchange, started: float, service: str = "", record: Callable[..., Exchange] = Exchange
) -> Exchange:
    """The record of a request that is made of another one, for the same client; `main` is that
    one's. service: whom it is for; empty: the same. record: makes it."""
    return record(
        main.request_id,
        started,
        service=service or main.service,
        route=main.route,
        user=main.user,
        client=main.client,
    )


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request outlined for an upstream: what to send, not yet where.

    `target` is the request-target as the client sent it, less a stripped prefix. `host` is the
    client's Host to keep, or None for the upstream's own. `deadline` is the monotonic time by
    which a response head must be there. `abandoned` tells whether the client has left.

    `requester` is who asks, as the client's request shows it; None for a request that no client
    sent, of which nobody can say whom its answer is for. `view` is the endpoint that forwards
    it, where views of the service have policies of their own; otherwise empty. `differs` is what
    policies made it differ by, of who asks and what was sent: answers may, too.

    For policies: `tried` holds the names of targets already asked; the transport prefers others
    and adds its choice. `admit`, asked with a target's name, may keep a target out of the choice.
    """

    service: str
    method: str
    target: str
    headers: Headers
    body: BodySource | None
    host: str | None
    timeouts: Timeouts
    deadline: float
    abandoned: Callable[[], bool]
    exchange: Exchange
    tried: list[str] | None = None
    admit: Callable[[str], bool] | None = None
    requester: Requester | None = None
    view: str = ""
    differs: tuple[str, ...] = ()

    def field(self, name: str) -> str:
        """A field's value, its repetitions joined by commas; empty if it is not there. name: in
        lower case."""
        return ",".join([value for given, value in self.headers if given.lower() == name])

    def passed_on(self, by: str, to: str) -> UpstreamRequest:
        """The request as the chain of one service hands it to that of another. It differs by that:
        others may hand on one for the same path, and have made something else of it."""
        return replace(self, service=to, differs=(*self.differs, f"from {by}"))


@dataclass(slots=True)
class UpstreamResponse:
    """A response head, and its body still open.

    `origin` is the scheme and authority asked, `base` the path there, `target` the instance's
    name; all empty for an answer that came from no upstream.
    """

    status: int
    reason: str
    headers: Headers
    body: ResponseBody
    origin: str = ""
    base: str = ""
    version: str = "1.1"
    target: str = ""


class Asked(Protocol):
    """As much of a request as an answer from memory depends on; an UpstreamRequest is one."""

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def exchange(self) -> Exchange: ...

    @property
    def requester(self) -> Requester | None: ...

    @property
    def differs(self) -> tuple[str, ...]: ...

    def field(self, name: str) -> str | None:
        """See UpstreamRequest.field; None where only the outlined request could tell."""
        ...


#: Answers from memory, at once and without asking anybody, or not at all. A handler that has one
#: as its attribute `early` may be passed by: it would do nothing else for such a request.
Early = Callable[[Asked], UpstreamResponse | None]

#: Answers an outlined request: a policy's next layer, or the transport. Raises UpstreamError.
Handler = Callable[[UpstreamRequest], UpstreamResponse]


def early_of(handler: Handler) -> Early | None:
    """What a handler offers as `early`; None of one made with functools.wraps, which hands on what
    it wraps has, and does more than that."""
    return None if hasattr(handler, "__wrapped__") else getattr(handler, "early", None)


@runtime_checkable
class SituatedPolicy(Protocol):
    """A policy that needs more than its options to wrap a handler."""

    def wrap(self, following: Handler, context: PolicyContext, /) -> Handler:
        """The handler around `following`."""
        ...


#: Wraps a handler in another one; built once, at start.
Policy = Callable[[Handler], Handler] | SituatedPolicy

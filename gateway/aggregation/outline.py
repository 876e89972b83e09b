"""The request of a leg: what the client sent that is not about its own body and path, who asks,
and how much time is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from gateway import forwarded, headers
from gateway.aggregation.leg import DEADLINE, Leg
from gateway.bodies import BytesBody
from gateway.exchange import Exchange, Headers, Timeouts, UpstreamRequest, derived
from gateway.forwarding import outgoing_fields
from gateway.requester import Requester
from gateway.urls import strip_prefix

if TYPE_CHECKING:
    from gateway.authentication import Identity
    from gateway.service import Runtime

# A leg that is still under way so many seconds after its deadline is broken off: the transport has
# told of one that was late by then, as of the backend's failure.
_GIVEN_UP = 0.5
#: What a client says of the answer it wants, of its body, or of one that it has already.
_ITS_OWN = frozenset(
    {
        *("accept", "accept-encoding", "content-type", "content-encoding", "content-language"),
        *("content-disposition", "content-range", "content-location", "content-md5"),
        *("content-digest", "repr-digest", "digest", "want-digest", "want-content-digest"),
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"),
        *("range", "cache-control", "pragma", "prefer", "signature", "signature-input"),
        *("grpc-timeout", DEADLINE.lower()),
    }
)


#: Finds the values of the variables that a path has for its service.
Variables = Callable[[str], Mapping[str, Any]]


class LegRequester(Requester):
    """The client, as the one who asks for what a leg asks."""

    __slots__ = ("_target", "_variables")

    def __init__(
        self,
        asked: ClientRequest,
        credentials: tuple[str, ...],
        target: tuple[str, str | None],
        variables: Variables,
    ) -> None:
        super().__init__(asked.environ, asked.identity, credentials)
        self._target = target
        self._variables = variables

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Those of the path of the leg: it knows nothing of the path of the view."""
        found = self._variables(self._target[0])
        return {name: value for name, value in found.items() if name != "_rest"}

    @property
    def target(self) -> tuple[str, str | None]:
        """The path and query of the leg, as a client would have sent them."""
        return self._target


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """As much of the client's request as its legs are made of, read once for all of them."""

    environ: dict[str, Any]
    identity: Identity | None
    exchange: Exchange
    fields: Headers

    @classmethod
    def of(cls, environ: dict[str, Any]) -> ClientRequest:
        """From the environ of a request that was admitted."""
        fields = [
            field for field in headers.request_fields(environ) if field[0].lower() not in _ITS_OWN
        ]
        return cls(
            environ,
            environ.get("gateway.identity"),
            environ["gateway.exchange"],
            fields,
        )


def outlined(
    leg: Leg,
    client: ClientRequest,
    runtime: Runtime,
    end: float,
    abandoned: Callable[[], bool],
    variables: Variables = lambda path: {},
) -> UpstreamRequest:
    """The leg as its service's chain takes it. end: the monotonic time by which it is over.
    variables: what its path has for views of the service.

    Raises Refusal for a loop (508)."""
    environ, service = client.environ, leg.service
    forwarded.refuse_loop(environ, runtime.via)
    public = (service.url_prefix or "") + leg.target or "/"
    if not public.startswith("/"):
        public = "/" + public
    path, mark, query = public.partition("?")
    now = time.monotonic()
    usual = runtime.timeouts
    end = min(end, now + (leg.timeout or usual.total or 0))
    left = max(end - now, 0.001)
    outgoing = _fields(leg, client, runtime, left)
    body = None
    if leg.json is not None:
        body = BytesBody(orjson.dumps(leg.json))
    late = end + _GIVEN_UP

    def over() -> bool:  # what it waits for inside of a body has no deadline
        return abandoned() or time.monotonic() > late

    inner = strip_prefix(path, runtime.strip, runtime.put)
    return UpstreamRequest(
        service=service.name,
        method=leg.method,
        target=f"{inner}?{query}" if mark else inner,
        headers=outgoing,
        body=body,
        host=environ.get("HTTP_HOST") if service.preserve_host else None,
        timeouts=Timeouts(min(usual.connect or left, left), min(usual.read or left, left), left),
        deadline=end,
        abandoned=over,
        exchange=derived(client.exchange, now, service.name),
        requester=LegRequester(
            client, runtime.credentials, (path, query if mark else None), variables
        ),
        differs=(repr(leg.headers),) if leg.headers else (),
    )


def _fields(leg: Leg, client: ClientRequest, runtime: Runtime, left: float) -> Headers:
    named = frozenset(name.lower() for name, _ in leg.headers)
    outgoing = outgoing_fields(
        client.fields,
        client.environ,
        runtime,
        client.identity,
        client.exchange.request_id,
        named,
    )
    if "accept" not in named:
        outgoing.append(("Accept", "application/json"))
    if leg.json is not None and "content-type" not in named:
        outgoing.append(("Content-Type", "application/json"))
    outgoing += [("Accept-Encoding", "identity"), (DEADLINE, f"{time.time() + left:.3f}")]
    outgoing += [field for field in leg.headers if field[1]]
    return outgoing

"""The core: outline a request for an upstream, hand it to the chain, relay the response.

    1 prepare    what the client sent, less what must not pass, plus what the gateway adds
    2 handler    the service's policies, and the transport at their end
    3 finalize   the upstream's response, less what must not pass, streamed as it arrives

Nothing here knows a policy, and nothing is read into memory that need not be.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.datastructures import Headers as ResponseHeaders

from gateway import forwarded, headers
from gateway.bodies import RequestBody
from gateway.client import ClientConnection
from gateway.errors import BodyFailed, ClientGone, Refusal, phrase
from gateway.exchange import Exchange, Headers, Timeouts, UpstreamRequest, UpstreamResponse
from gateway.requester import Requester
from gateway.urls import raw_target, strip_prefix

if TYPE_CHECKING:
    from gateway.authentication import Identity
    from gateway.edge.origin import Edge
    from gateway.service import Runtime


class RelayedResponse(Response):
    """A response whose fields are sent as the upstream wrote them: none added, none rewritten."""

    default_mimetype = None
    autocorrect_location_header = False
    automatically_set_content_length = False

    def get_wsgi_headers(self, environ: Any) -> ResponseHeaders:
        """The fields as they are."""
        return self.headers


def prepare(
    environ: dict[str, Any],
    runtime: Runtime,
    identity: Identity | None,
    exchange: Exchange,
    client: ClientConnection,
    timeouts: Timeouts,
    view: str = "",
) -> UpstreamRequest:
    """Outline the request in `environ` for the service of `runtime`. view: see UpstreamRequest.

    Raises Refusal for a body that may not pass (413, 501) and for a loop (508).
    """
    service = runtime.service
    forwarded.refuse_loop(environ, runtime.via)
    fields = headers.request_fields(environ)
    outgoing = outgoing_fields(fields, environ, runtime, identity, exchange.request_id)
    path, query = raw_target(environ)
    path = strip_prefix(path, runtime.strip, runtime.put)
    return UpstreamRequest(
        service=service.known_as,
        method=environ["REQUEST_METHOD"],
        target=path if query is None else f"{path}?{query}",
        headers=outgoing,
        body=request_body(environ, client, limit=runtime.max_body, idle=runtime.client_timeout),
        host=environ.get("HTTP_HOST") if service.preserve_host else None,
        timeouts=timeouts,
        deadline=exchange.started + (timeouts.total or 0),
        abandoned=client.abandoned,
        exchange=exchange,
        requester=Requester(environ, identity, runtime.credentials),
        view=view,
    )


def outgoing_fields(
    fields: Headers,
    environ: dict[str, Any],
    runtime: Runtime,
    identity: Identity | None,
    request_id: str,
    without: frozenset[str] = frozenset(),
) -> Headers:
    """What a backend is sent of a client's fields, and what the gateway adds: the way the request
    came, its id, who asks. without: further names that do not pass, in lower case."""
    edge = environ["gateway.edge"]
    dropped = runtime.dropped if edge.trusted else runtime.dropped_untrusted
    if hidden := environ.get("gateway.hidden"):  # this request's credential, where it stands
        dropped |= hidden
    if without:
        dropped |= without
    outgoing = headers.forwardable(fields, dropped)
    outgoing += forwarded.fields(environ, edge, runtime)
    outgoing.append(("X-Request-ID", request_id))
    if identity is not None:
        outgoing += runtime.tell(identity)
    return outgoing


def request_body(
    environ: dict[str, Any], client: ClientConnection, *, limit: int | None, idle: float
) -> RequestBody | None:
    """The client's body, still to be read; None if there is none. See RequestBody.

    Raises Refusal if it may not pass (413, 501).
    """
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    declared = environ.get("CONTENT_LENGTH")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            raise Refusal("Only chunked is supported.", status=501, slug="transfer_coding")
        length = None
    elif declared:
        if not (declared.isascii() and declared.isdigit()):
            raise Refusal("The Content-Length is malformed.")
        length = int(declared)
    else:
        return None
    body = RequestBody(
        environ["wsgi.input"],
        length,
        limit=limit,
        idle=idle,
        socket=client.socket,
    )
    environ["gateway.body"] = body
    return body


def finalize(
    response: UpstreamResponse, runtime: Runtime, environ: dict[str, Any], exchange: Exchange
) -> Response:
    """Turn an upstream's response into the client's, streaming its body."""
    exchange.bodies.append(response.body)
    return RelayedResponse(
        relay(response, environ["gateway.client"], exchange),
        status=status_line(response),
        headers=client_fields(response, runtime, environ["gateway.edge"]),
        direct_passthrough=True,
    )


def status_line(response: UpstreamResponse) -> str:
    """The status as WSGI wants it."""
    return f"{response.status} {response.reason or phrase(response.status)}"


def client_fields(response: UpstreamResponse, runtime: Runtime, edge: Edge) -> Headers:
    """The fields of an upstream's response as the client gets them."""
    names = [name.lower() for name, _ in response.headers]
    if _TOUCHED.isdisjoint(names) and response.status != 204:  # most are passed on as they are
        fields = list(response.headers)
    else:
        fields = headers.response_fields(response.headers, response.status)
        forwarded.rewrite_locations(fields, response, edge, runtime)
    fields.append(("Via", f"{response.version} {runtime.via}"))
    if "content-type" in names and _is_event_stream(fields):
        fields.append(("X-Accel-Buffering", "no"))  # or nginx would hold events back
    return fields


# Fields that are dropped, or changed.
_TOUCHED = headers.HOP_BY_HOP | {"location", "content-location"}


def _is_event_stream(fields: Headers) -> bool:
    for name, value in fields:
        if name.lower() == "content-type":
            return value.lower().startswith("text/event-stream")
    return False


class relay:  # noqa: N801  reads as the verb it is
    """The body on its way to the client; closing it ends the upstream's transfer too.

    After the head is sent nothing can be rewritten: a body that breaks is aborted on the client's
    side as well, so that what arrived never looks complete.
    """

    __slots__ = ("_body", "_client", "_exchange", "_first", "_open", "_pieces")

    def __init__(
        self, response: UpstreamResponse, client: ClientConnection, exchange: Exchange
    ) -> None:
        self._body = response.body
        self._pieces = iter(response.body)
        self._client = client
        self._exchange = exchange
        # An empty first piece makes the server send the head while the body is still waited for.
        self._first = not getattr(response.body, "ready", False)
        self._open = False  # begun, and not at its end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            self._first = False
            self._open = True
            return b""
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._open = False
            raise
        except BodyFailed as error:
            self._exchange.blame("upstream", error.reason)
            raise self._aborted() from None
        except ClientGone:
            self._exchange.blame("client", "client_gone")
            raise self._aborted() from None
        self._open = True
        return piece

    def _aborted(self) -> ConnectionResetError:
        self._client.abort()
        # gunicorn closes the connection quietly on a reset, without a last chunk.
        return ConnectionResetError(errno.ECONNRESET, "the transfer was aborted")

    def close(self) -> None:
        """Called by the server at the end, however it came."""
        if self._open:  # the server could not write the rest
            self._exchange.blame("client", "client_gone")
        self._body.close()

"""Every way a request can fail, and the one body that tells the client.

    ConfigurationError            at start: all faults of settings and services, together
    Refusal (HTTPException)       rooms 1 to 3: the gateway will not forward this request
      Unauthenticated             401, says how to authenticate (RFC 6750)
      Forbidden                   403, names the scope that is missing, if it is one
      AuthorityUnavailable        503, who could tell does not answer
    ClientBodyError (Refusal)     the request's body broke: cut short, malformed, too slow, too big
    ClientGone                    nobody is left to answer; seen in the log only, as 499
    UpstreamError                 rooms 4 and 5: no usable answer from the backend
      NoTarget                    503  no instance to send to
      PoolTimeout                 503  every connection stayed busy until the deadline
      NotSent                     503  a policy kept it back: circuit open, bulkhead full, ...
                                  504  its time was spent before it could be sent
      ConnectFailed               502  refused, unreachable, unresolvable, bad certificate
      ConnectTimeout              504
      SendFailed                  502  the connection broke while the request was sent
      HeadFailed                  502  it broke before a whole response head had come
      HeadTimeout                 504  silent, or the deadline passed
      ProtocolViolation           502  what came is not an HTTP/1.1 response
      UnusableAnswer              502  it is HTTP, and no use to who needs it; 504 for one too late
      BodyFailed                  -    broken after the head was relayed: the transfer is aborted
                                  502  where it was to be read before

An upstream's own 4xx or 5xx is a response, not an error, and passes untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson
from werkzeug.exceptions import HTTPException

Pairs = Sequence[tuple[str, str]]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class ConfigurationError(Exception):
    """The gateway will not start; `faults` lists everything that is wrong, a line each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"- {fault}" for fault in self.faults))


class Refusal(HTTPException):
    """The gateway answers by itself. `slug` is the stable, machine-readable name of the cause.

    For the security log, empty for none: scheme, which way to authenticate led to it; key, the id
    of the API key that was tried, if there is such a key, which need not be who has it.
    members: what the body says besides (RFC 9457 section 3.2); none has a name that `problem` uses.
    """

    code: int | None = 400
    slug = "bad_request"
    scheme = ""
    key = ""
    members: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        slug: str | None = None,
        headers: Pairs = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        if status is not None:
            self.code = status
        if slug is not None:
            self.slug = slug
        if members is not None:
            self.members = members
        self.extra_headers = tuple(headers)


class Unauthenticated(Refusal):
    """No usable credential. `error` is RFC 6750's code; None when nothing was presented.

    challenges: what `WWW-Authenticate` says; empty for that of bearer tokens, with the error.
    """

    code = 401
    slug = "missing_token"

    def __init__(
        self,
        detail: str,
        *,
        slug: str = "missing_token",
        error: str | None = None,
        challenges: Sequence[str] = (),
    ) -> None:
        if not challenges:
            challenge = 'Bearer realm="gateway"'
            if error is not None:
                challenge += f', error="{error}", error_description="{detail}"'
            challenges = (challenge,)
        super().__init__(detail, slug=slug, headers=[("WWW-Authenticate", c) for c in challenges])


class Forbidden(Refusal):
    """A known identity that may not do this. `scope` is what is missing, space-separated; empty
    where no scope would help (RFC 6750 section 3.1). `unmet` is what it did not meet, for the
    security log only: functions are named there."""

    code = 403
    slug = "forbidden"

    def __init__(self, detail: str, scope: str = "", *, unmet: str = "") -> None:
        self.scope = scope
        self.unmet = unmet or scope
        if not scope:
            super().__init__(detail)
            return
        challenge = f'Bearer realm="gateway", error="insufficient_scope", scope="{scope}"'
        super().__init__(
            detail, slug="insufficient_scope", headers=[("WWW-Authenticate", challenge)]
        )


class AuthorityUnavailable(Refusal):
    """Nobody can say who this is or what it may: the authority asked does not answer. 503."""

    code = 503
    slug = "authority_unavailable"

    def __init__(self, detail: str = "The identity cannot be checked at the moment.") -> None:
        super().__init__(detail, headers=[("Retry-After", "1")])


def two_credentials() -> Refusal:
    """The refusal of a request that says twice who it comes from (RFC 6750 section 3.1)."""
    return Refusal(
        "The request has more than one credential.",
        slug="two_credentials",
        headers=[
            ("WWW-Authenticate", 'Bearer realm="gateway", error="invalid_request"'),
        ],
    )


class ClientBodyError(Refusal):
    """The client's body cannot be used; the connection it came on must not be used again."""

    slug = "bad_body"


class ClientGone(Exception):
    """The client left before it was answered."""


class UpstreamError(Exception):
    """No usable response from an upstream.

    `stage` is where it broke (connect, send, head, body); `reason` is RFC 9209's word for it.
    `retry_safe` is True when not one byte of the request was handed to the upstream, so that
    sending it again cannot do its work twice. The message is for the log, never the client.
    `party` is who failed. `target` is the instance that was asked, empty for none. `retry_after`,
    in seconds, is told to the client; None: a second for a 503, else nothing.
    """

    stage = "connect"
    reason = "destination_unavailable"
    status = 502
    title = "The service could not be reached."
    party = "upstream"
    retry_safe = False
    target = ""
    retry_after: float | None = None

    def __init__(self, message: str = "", *, retry_safe: bool | None = None) -> None:
        super().__init__(message or self.title)
        if retry_safe is not None:
            self.retry_safe = retry_safe


class NoTarget(UpstreamError):
    """No instance of the service is known."""

    status = 503
    title = "No instance of the service is available."
    retry_safe = True


class PoolTimeout(UpstreamError):
    """All pooled connections stayed busy until the deadline."""

    reason = "connection_limit_reached"
    status = 503
    title = "The service is busy."
    party = "gateway"
    retry_safe = True


class NotSent(UpstreamError):
    """The request was kept back, mostly by a policy; the upstream was not asked.

    reason: the stable, machine-readable name of the cause. title: what the client is told. status:
    503, or 504 where time ran out. retry_after: seconds, None for the usual.
    """

    status = 503
    title = "The service is not available."
    party = "gateway"
    retry_safe = True

    def __init__(
        self,
        reason: str,
        title: str = "",
        *,
        status: int = 503,
        retry_after: float | None = None,
    ) -> None:
        self.reason = reason
        self.status = status
        self.title = title or type(self).title
        self.retry_after = retry_after
        super().__init__(reason)


def deadline_exceeded() -> NotSent:
    """The error of a request whose time was spent before it could be sent."""
    return NotSent("deadline_exceeded", "The time for this request is spent already.", status=504)


class ConnectFailed(UpstreamError):
    """Refused, unreachable, unresolvable, or a certificate that does not verify."""

    reason = "connection_refused"
    retry_safe = True


class ConnectTimeout(UpstreamError):
    """The connection was not made in time."""

    reason = "connection_timeout"
    status = 504
    title = "The service could not be reached in time."
    retry_safe = True


class SendFailed(UpstreamError):
    """The connection broke while the request was being sent."""

    stage = "send"
    reason = "connection_terminated"
    title = "The connection to the service broke."


class HeadFailed(UpstreamError):
    """The connection ended before a whole response head had come."""

    stage = "head"
    reason = "connection_terminated"
    title = "The service ended the connection without an answer."


class HeadTimeout(UpstreamError):
    """No response head in time: the upstream was silent, or the deadline passed."""

    stage = "head"
    reason = "http_response_timeout"
    status = 504
    title = "The service did not answer in time."


class ProtocolViolation(UpstreamError):
    """What the upstream sent is not a response that can be trusted to have ended."""

    stage = "head"
    reason = "http_protocol_error"
    title = "The service gave an answer that is not valid HTTP."


class UnusableAnswer(UpstreamError):
    """A whole answer, or most of one, that the gateway cannot make its own of.

    reason: the stable, machine-readable name of the cause. status: 502, or 504 where it was late.
    """

    stage = "body"
    title = "A service that is needed gave no usable answer."

    def __init__(self, reason: str, message: str = "", *, status: int = 502) -> None:
        self.reason = reason
        self.status = status
        super().__init__(message or reason)


class BodyFailed(UpstreamError):
    """The response body broke after its head had come: closed early, malformed or silent."""

    stage = "body"
    reason = "http_response_incomplete"
    title = "The answer of the service was cut short."


def phrase(status: int) -> str:
    """The usual words for a status code."""
    return _PHRASES.get(status, "Unknown")


def problem(
    status: int, slug: str, detail: str, request_id: str, **members: Any
) -> tuple[bytes, str]:
    """The problem+json body of a failure and its media type (RFC 9457 section 3)."""
    body = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": detail,
        "code": slug,
        "request_id": request_id,
        **members,
    }
    return orjson.dumps(body), "application/problem+json"

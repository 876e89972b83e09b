"""What all transforms share: how what they do to requests and answers becomes a handler.

A transform is a policy (see gateway.policy), a frozen dataclass of its options, with one or both of

    outlined(request) -> UpstreamRequest              the request as it goes on
    returned(request, response) -> UpstreamResponse   the answer as it goes back

One that leaves a side alone does not have that method. Neither changes what it is given: a request
may be sent again, and an answer may be another one's, too. They need no chain to be called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, runtime_checkable

from gateway.exchange import Handler, UpstreamRequest, UpstreamResponse


@runtime_checkable
class Outlining(Protocol):
    """A transform of requests."""

    def outlined(self, request: UpstreamRequest, /) -> UpstreamRequest:
        """The request as it goes on; the same one where there is nothing to change. Raises Refusal:
        nothing was sent, and the same request would be refused again."""
        ...


@runtime_checkable
class Returning(Protocol):
    """A transform of answers."""

    def returned(self, request: UpstreamRequest, response: UpstreamResponse, /) -> UpstreamResponse:
        """The answer as it goes back. request: as it came to the transform, before `outlined`.
        Raises UpstreamError for an answer that must not go back."""
        ...


class Transform:
    """A policy made of a subclass's `outlined`, `returned`, or both; they are looked up at start.

    An answer that `returned` raises for is closed.
    """

    __slots__ = ()

    #: "request" for those that change requests: what is sent again need not be changed again.
    per: ClassVar[str] = "either"
    stacks: ClassVar[bool] = True

    def __call__(self, following: Handler) -> Handler:
        """See gateway.policy."""
        handler = following
        if isinstance(self, Outlining):
            handler = _outlining(self.outlined, handler)
        if isinstance(self, Returning):
            handler = _returning(self.returned, handler)
        if handler is following:
            raise TypeError(f"{type(self).__name__} has neither `outlined` nor `returned`")
        return handler


_Outlined = Callable[[UpstreamRequest], UpstreamRequest]
_Returned = Callable[[UpstreamRequest, UpstreamResponse], UpstreamResponse]


def _outlining(outlined: _Outlined, following: Handler) -> Handler:
    def handle(request: UpstreamRequest) -> UpstreamResponse:
        return following(outlined(request))

    return handle


def _returning(returned: _Returned, following: Handler) -> Handler:
    def handle(request: UpstreamRequest) -> UpstreamResponse:
        response = following(request)
        try:
            return returned(request, response)
        except BaseException:
            response.body.close()
            raise

    return handle

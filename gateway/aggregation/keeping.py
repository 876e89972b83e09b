"""A cache of a leg's own, around all that its service has.

It stands where no list of policies would have it: in front of transforms, whose work it has to know
of all the same, or answers to what they made of one request would be another one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.exchange import Handler, Policy, UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext, chain

_READING = frozenset({"GET", "HEAD"})


class Keeping:
    """The chain of a service behind a cache. policies: those in it, outermost first. name: under
    which answers are kept, apart from those of the service itself.

    Raises what the chain raises; Refusal also where one of its transforms refuses what is kept.
    """

    def __init__(
        self,
        cache: Policy,
        following: Handler,
        policies: Sequence[Policy],
        context: PolicyContext,
        name: str,
    ) -> None:
        given: Sequence[Any] = policies
        self._transforms = [one for one in given if callable(getattr(one, "outlined", None))]
        self._apart: list[Callable[[UpstreamRequest], str]] = [
            one.apart(context) for one in given if callable(getattr(one, "apart", None))
        ]
        own = replace(context, service=name, listed=False)
        self._kept = chain([cache], _unmarked(following), own)

    def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """See exchange.Handler."""
        told = self._told(request) if request.method in _READING and request.body is None else ""
        return self._kept(replace(request, differs=(*request.differs, told)))

    def _told(self, request: UpstreamRequest) -> str:
        """What the chain will make the request differ by."""
        found: Any = request
        for transform in self._transforms:
            found = transform.outlined(found)
        return repr((found.differs, [apart(found) for apart in self._apart]))


def _unmarked(following: Handler) -> Handler:
    """Hand on the request as it came: further in, it is known by what is made of it there."""

    def handle(request: UpstreamRequest) -> UpstreamResponse:
        return following(replace(request, differs=request.differs[:-1]))

    return handle

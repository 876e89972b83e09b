"""Knowing when a response body ends: slots are given back then, and not with the head."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.exchange import ResponseBody, UpstreamRequest, UpstreamResponse

#: Told once, when a body is over: the error that broke it, or None if it ended well or was closed.
Ended = Callable[[BaseException | None], None]


class WatchedBody:
    """A body that tells when it is over, however that comes about."""

    __slots__ = ("_body", "_ended", "_pieces", "ready", "whole")

    def __init__(self, body: ResponseBody, ended: Ended) -> None:
        self._body = body
        self._pieces = iter(body)
        self._ended: Ended | None = ended
        self.ready = getattr(body, "ready", False)
        self.whole = is_whole(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self._over(None)
            raise
        except BaseException as error:
            self._over(error)
            raise

    def close(self) -> None:
        """End the transfer."""
        try:
            self._body.close()
        finally:
            self._over(None)

    def _over(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)


class StaticBody:
    """A body that is there already."""

    __slots__ = ("_data", "ready", "whole")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.ready = self.whole = True

    def __iter__(self) -> Iterator[bytes]:
        data, self._data = self._data, b""
        return iter([data] if data else [])

    def close(self) -> None:
        """Nothing is open."""


def watch(request: UpstreamRequest, response: UpstreamResponse, ended: Ended) -> UpstreamResponse:
    """Have `ended` called when the response's body is over, also if nobody ever reads it."""
    response.body = WatchedBody(response.body, ended)
    request.exchange.bodies.append(response.body)
    return response


def is_whole(body: ResponseBody) -> bool:
    """Whether all of a body is here already, so that nothing can break it any more."""
    return bool(getattr(body, "whole", False))

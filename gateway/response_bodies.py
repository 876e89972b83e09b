"""Knowing when a response body ends: slots are given back then, and not with the head."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.exchange import ResponseBody, UpstreamRequest, UpstreamResponse

#: Told once, when a body is over: the error that broke it, or None if it ended well or was closed.
Ended = Callable[[BaseException | None], None]


class WatchedBody:
    """A body that tells when it is over, however that comes about."""

    __slots__ = ("_body", "_ended", "_pieces", "ready")

    def __init__(self, body: ResponseBody, ended: Ended) -> None:
        self._body = body
        self._pieces = iter(body)
        self._ended: Ended | None = ended
        self.ready = getattr(body, "ready", False)

    @property
    def whole(self) -> bool:
        """See is_whole."""
        return is_whole(self._body)

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


class TeedBody:
    """A body on its way, copied as it passes. Only its end makes a copy: of one that breaks, is
    closed before, or is longer than `most` bytes, there is none. Once all of it has come, the copy
    is made before the last piece is given on: who has it all finds the copy where `over` puts it.

    over: told once how it ended: all of the body, or None; and how many bytes had passed by then,
    more than `most` where that is why.
    """

    __slots__ = ("_body", "_copy", "_most", "_over", "_pieces", "_size", "ready")

    def __init__(
        self, body: ResponseBody, most: int, over: Callable[[bytes | None, int], object]
    ) -> None:
        self._body = body
        self._pieces = iter(body)
        self._most = most
        self._over: Callable[[bytes | None, int], object] | None = over
        self._copy: list[bytes] = []
        self._size = 0
        self.ready = getattr(body, "ready", False)

    @property
    def whole(self) -> bool:
        """See is_whole."""
        return is_whole(self._body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._ended(whole=True)
            raise
        except BaseException:
            self._ended(whole=False)
            raise
        if self._over is not None:
            self._passing(piece)
            if self._over is not None and is_whole(self._body):
                self._read_over()
        return piece

    def _passing(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            self._ended(whole=False)
        else:
            self._copy.append(piece)

    def _read_over(self) -> None:
        """Take what is left, which is all there and cannot break."""
        rest = list(self._pieces)
        self._pieces = iter(rest)
        for piece in rest:
            if self._over is not None:
                self._passing(piece)
        self._ended(whole=True)

    def close(self) -> None:
        """End the transfer; what has not passed makes the copy none."""
        try:
            self._body.close()
        finally:
            self._ended(whole=False)

    def _ended(self, *, whole: bool) -> None:
        over, self._over = self._over, None
        copy, self._copy = self._copy, []
        if over is not None:
            over(b"".join(copy) if whole else None, self._size)


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

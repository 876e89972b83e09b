"""A request body that can be sent again: kept as it passes, or here already."""

from __future__ import annotations

from typing import TypeAlias

from gateway.bodies import BytesBody
from gateway.exchange import BodySource


class ReplayableBody:
    """A client's body in use by one attempt after the other, read as the body itself is.

    What is taken from `body` is kept while it is at most `bound` bytes in all, and forgotten when
    it is more. The views of one body (see `rewound`) share what is kept; only the newest may read.
    """

    __slots__ = ("_kept", "_place", "finished")

    def __init__(self, body: BodySource, bound: int) -> None:
        self._view(_Kept(body, bound))

    def _view(self, kept: _Kept) -> None:
        self._kept = kept
        self._place = 0
        self.finished = kept.ended and not kept.count

    def rewound(self) -> ReplayableBody | None:
        """The same body from its beginning, then as it goes on; None if that was forgotten."""
        if not self._kept.whole_so_far:
            return None
        view = object.__new__(ReplayableBody)
        view._view(self._kept)
        return view

    def whole(self) -> bytes | None:
        """All of the body; None as long as its end was not read, or if it was over the bound."""
        kept = self._kept
        if not kept.ended or not kept.whole_so_far or kept.size > kept.bound:
            return None
        return b"".join(kept.pieces)

    @property
    def arrived(self) -> bool:
        """Whether the client has nothing more to send."""
        return self._kept.ended

    @property
    def length(self) -> int | None:
        """The declared length in bytes, None when chunked."""
        return self._kept.body.length

    @property
    def idle(self) -> float | None:
        """How long to wait for the client's next byte, in seconds."""
        return self._kept.body.idle

    @property
    def at_hand(self) -> bool:
        """Whether the next piece need not be waited for."""
        kept = self._kept
        return self._place < kept.count or kept.ended or kept.body.at_hand

    def fileno(self) -> int | None:
        """The descriptor of the client's connection; None if the server does not show it."""
        return self._kept.body.fileno()

    def fetch(self, deadline: float | None = None) -> None:
        """Take the next bytes in ahead of time; they are still to be given out. Raises as
        `next_piece` does."""
        if not self._kept.ended:
            self._kept.take(deadline)

    def next_piece(self, deadline: float | None = None) -> bytes:
        """The next bytes; empty at the end. Raises what the client's body raises."""
        if self.finished:
            return b""
        kept = self._kept
        if self._place == kept.count and not kept.ended:
            kept.take(deadline)
        piece = b""
        if self._place < kept.count:
            piece = kept.given_out(self._place)
            self._place += 1
        # One of declared length is over with its last byte, a chunked one only with its end.
        all_out = self._place == kept.count and kept.ended
        self.finished = all_out and (not piece or self.length is not None)
        return piece


#: Bodies that can be sent again.
Replayable: TypeAlias = ReplayableBody | BytesBody


def replayable(body: BodySource, bound: int) -> Replayable:
    """The body in a form that can be sent again: as it is, if it is here whole; otherwise what is
    taken from it is kept while it is at most `bound` bytes."""
    return body if isinstance(body, BytesBody) else ReplayableBody(body, bound)


class _Kept:
    """What the views of one body share: the pieces not forgotten, and how many there were."""

    __slots__ = ("body", "bound", "broken", "count", "ended", "pieces", "size")

    def __init__(self, body: BodySource, bound: int) -> None:
        self.body = body
        self.bound = bound
        self.pieces: list[bytes] = []
        self.count = 0
        self.size = 0
        self.broken = False
        self.ended = body.finished

    @property
    def whole_so_far(self) -> bool:
        return self.count == len(self.pieces) and not self.broken

    def take(self, deadline: float | None) -> None:
        self.broken = True  # unless it goes well
        piece = self.body.next_piece(deadline)
        self.broken = False
        self.ended = self.body.finished
        if piece:
            self.pieces.append(piece)
            self.count += 1
            self.size += len(piece)

    def given_out(self, place: int) -> bytes:
        index = place - (self.count - len(self.pieces))
        if index < 0:
            raise RuntimeError("a newer view of the body has read on")
        piece = self.pieces[index]
        if self.size > self.bound:
            del self.pieces[: index + 1]
        return piece

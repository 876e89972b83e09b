"""Reading a client's body as it comes, from what gunicorn hands over as `wsgi.input`.

gunicorn's own `read(n)` waits until it has n bytes. These take what is there, through the same
parser, so what gunicorn refuses is refused here. `at_hand` says whether a read need not wait.
"""

from __future__ import annotations

from typing import Any, Protocol

from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData

PIECE = 64 * 1024


class BodyInput(Protocol):
    """Where a body's bytes come from."""

    def read(self, most: int) -> bytes:
        """The next bytes, at most about `most`; empty at the end."""
        ...

    @property
    def at_hand(self) -> bool:
        """Whether bytes were received already."""
        ...


def open_input(stream: Any, *, chunked: bool) -> BodyInput:
    """The input of a request whose `wsgi.input` is `stream`."""
    reader = getattr(stream, "reader", None)
    if reader is None:
        return PlainInput(stream)
    return ChunkedInput(reader) if chunked else LengthInput(reader)


class PlainInput:
    """Another server's stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.at_hand = True  # as far as we can know

    def read(self, most: int) -> bytes:
        """See BodyInput.read."""
        return bytes(self._stream.read(most))


class LengthInput:
    """A body of known length."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    @property
    def at_hand(self) -> bool:
        """See BodyInput.at_hand."""
        return bool(self._reader.unreader.buf.tell())

    def read(self, most: int) -> bytes:
        """See BodyInput.read."""
        reader = self._reader
        first: bytes = reader.read(1)
        if not first:
            return first
        rest = min(reader.unreader.buf.tell(), reader.length)
        return first + reader.read(rest) if rest else first


class ChunkedInput:
    """A chunked body: gunicorn parses sizes and trailers, the data is taken as it comes."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._unreader = reader.req.unreader
        reader.parser = None  # what is read here is not gunicorn's to read again
        self._missing = 0
        self._rest = b""
        self._inside = False

    @property
    def at_hand(self) -> bool:
        """See BodyInput.at_hand."""
        # Behind a chunk's data stands its line's end, which says nothing of a next one.
        behind = 2 if self._inside and not self._missing else 0
        return len(self._rest) + int(self._unreader.buf.tell()) > behind

    def read(self, most: int) -> bytes:
        """See BodyInput.read."""
        if not self._missing:
            self._begin_chunk()
            if not self._missing:
                return b""
        if not self._rest:
            self._rest = self._unreader.read(None, read_ahead=min(self._missing, most))
            if not self._rest:
                raise NoMoreData
        piece = self._rest[: self._missing]
        self._rest = self._rest[len(piece) :]
        self._missing -= len(piece)
        return piece

    def _begin_chunk(self) -> None:
        if self._inside:
            self._end_chunk()
        self._inside = True
        size, rest = self._reader.parse_chunk_size(self._unreader, data=self._rest)
        self._missing, self._rest = size, rest or b""

    def _end_chunk(self) -> None:
        while len(self._rest) < 2:
            more = self._unreader.read()
            if not more:
                break
            self._rest += more
        if self._rest[:2] != b"\r\n":
            raise ChunkMissingTerminator(self._rest[:2])
        self._rest = self._rest[2:]

"""Bodies on their way: copied as they pass, and only kept when all of them came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.errors import BodyFailed
from gateway.response_bodies import StaticBody, TeedBody


class Pieces:
    """A body that may break at its end."""

    ready = True

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self._pieces = pieces
        self._broken = broken
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._broken:
            raise BodyFailed

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class Told:
    """What a tee said at the end."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes | None, int]] = []

    def __call__(self, body: bytes | None, size: int) -> None:
        self.said.append((body, size))


def test_a_copy_is_made_at_the_end_and_not_before() -> None:
    told = Told()
    tee = TeedBody(Pieces(b"ab", b"c"), 3, told)
    assert [next(tee), next(tee)] == [b"ab", b"c"]
    assert told.said == []
    assert list(tee) == []
    tee.close()
    assert told.said == [(b"abc", 3)]
    assert (tee.ready, tee.whole) == (True, False)


def test_an_empty_body_is_whole() -> None:
    told = Told()
    tee = TeedBody(StaticBody(b""), 0, told)
    assert tee.whole
    assert list(tee) == []
    assert told.said == [(b"", 0)]


def test_what_is_too_long_passes_without_a_copy() -> None:
    told = Told()
    tee = TeedBody(Pieces(b"ab", b"cd", b"ef"), 3, told)
    assert b"".join(tee) == b"abcdef"
    assert told.said == [(None, 4)]


def test_what_breaks_or_is_closed_makes_no_copy() -> None:
    told = Told()
    with pytest.raises(BodyFailed):
        list(TeedBody(Pieces(b"a", broken=True), 3, told))
    body = Pieces(b"a", b"b")
    tee = TeedBody(body, 3, told)
    next(tee)
    tee.close()
    tee.close()
    assert told.said == [(None, 1), (None, 1)]
    assert body.closed == 2

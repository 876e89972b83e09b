"""Bodies on their way: copied as they pass, and only kept when all of them came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.errors import BodyFailed
from gateway.response_bodies import StaticBody, TeedBody, WatchedBody


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


class Coming:
    """A body whose last pieces have come once some of it was read; then it is whole."""

    ready = True

    def __init__(self, *pieces: bytes, whole_at: int) -> None:
        self._pieces = list(pieces)
        self._at = whole_at

    @property
    def whole(self) -> bool:
        return len(self._pieces) <= self._at

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._pieces:
            raise StopIteration
        return self._pieces.pop(0)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("whole_at", [0, 1, 2])
def test_who_has_all_of_a_body_finds_its_copy(whole_at: int) -> None:
    told, seen = Told(), []
    for piece in TeedBody(Coming(b"a", b"b", b"c", whole_at=whole_at), 3, told):
        seen.append((piece, len(told.said)))
    assert [piece for piece, _ in seen] == [b"a", b"b", b"c"]
    assert [copies for _, copies in seen] == [int(place >= 2 - whole_at) for place in range(3)]
    assert told.said == [(b"abc", 3)]


def test_what_is_too_long_passes_whole_too() -> None:
    told = Told()
    tee = TeedBody(WatchedBody(Coming(b"a", b"b", b"c", whole_at=2), lambda _error: None), 2, told)
    assert list(tee) == [b"a", b"b", b"c"]
    assert told.said == [(None, 3)]


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

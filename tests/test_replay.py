"""A body that can be sent again: kept up to a bound, the same bytes in each view."""

from __future__ import annotations

import io
import random

import pytest

from gateway.bodies import BytesBody, RequestBody
from gateway.errors import ClientBodyError
from gateway.replay import Replayable, ReplayableBody, replayable


class Pieces:
    """A body whose pieces are given; `length` None is a chunked one."""

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self._pieces = list(pieces)
        self.length = length
        self.idle = 3.0
        self.taken = 0
        self.finished = length == 0

    @property
    def at_hand(self) -> bool:
        return False

    def fileno(self) -> int | None:
        return 7

    def next_piece(self, deadline: float | None = None) -> bytes:
        if self.finished:
            return b""
        piece = self._pieces.pop(0) if self._pieces else b""
        self.taken += len(piece)
        self.finished = not piece if self.length is None else self.taken == self.length
        return piece


def read(body: Replayable) -> list[bytes]:
    """All pieces, with the empty one that ends a chunked body."""
    pieces = []
    while not body.finished:
        pieces.append(body.next_piece())
    return pieces


@pytest.mark.parametrize("length", [None, 6])
def test_a_rewound_body_is_the_same_to_its_last_piece(length: int | None) -> None:
    body = ReplayableBody(Pieces(b"abc", b"def", length=length), 100)
    first = read(body)
    again = body.rewound()
    assert again is not None
    assert read(again) == first == [b"abc", b"def", *([b""] if length is None else [])]
    assert body.next_piece() == again.next_piece() == b""


@pytest.mark.parametrize("length", [None, 6])
def test_what_was_not_read_yet_follows_what_was_kept(length: int | None) -> None:
    body = ReplayableBody(Pieces(b"abc", b"def", length=length), 100)
    assert body.next_piece() == b"abc"
    again = body.rewound()
    assert again is not None
    assert (again.finished, again.at_hand) == (False, True)
    assert again.next_piece() == b"abc"
    assert (again.finished, again.at_hand) == (False, False)
    assert b"".join(read(again)) == b"def"


def test_an_untouched_body_can_be_rewound() -> None:
    again = ReplayableBody(Pieces(b"abc", length=3), 0).rewound()
    assert again is not None
    assert read(again) == [b"abc"]


@pytest.mark.parametrize(("size", "kept"), [(10, True), (11, False)])
def test_no_more_than_the_bound_is_kept(size: int, kept: bool) -> None:
    body = ReplayableBody(Pieces(b"12345", bytes(size - 5), b"end"), 10)
    assert body.next_piece() + body.next_piece() == b"12345" + bytes(size - 5)
    assert (body.rewound() is not None) is kept
    assert read(body) == [b"end", b""], "it goes on to whoever has it"
    assert body.rewound() is None
    assert body.whole() is None


def test_what_is_over_the_bound_is_released() -> None:
    body = ReplayableBody(Pieces(*[bytes(1000)] * 50), 10)
    for _ in range(50):
        body.next_piece()
        assert not body._kept.pieces


@pytest.mark.parametrize("length", [None, 0])
def test_an_empty_body_stays_empty(length: int | None) -> None:
    body = ReplayableBody(Pieces(length=length), 10)
    assert body.finished is (length == 0), "a chunked one is known to be empty once it was read"
    assert body.next_piece() == b""
    again = body.rewound()
    assert again is not None
    assert (again.finished, again.next_piece(), again.finished) == (True, b"", True)
    assert body.whole() == b""


def test_the_whole_of_it_is_there_once_its_end_was_read() -> None:
    body = ReplayableBody(Pieces(b"abc", b"def"), 6)
    assert body.whole() is None
    body.next_piece()
    body.next_piece()
    assert (body.whole(), body.arrived) == (None, False), "more may come"
    body.next_piece()
    assert (body.whole(), body.arrived) == (b"abcdef", True)
    again = body.rewound()
    assert again is not None
    assert again.whole() == b"abcdef"


def test_what_is_fetched_ahead_is_given_out_also_over_the_bound() -> None:
    body = ReplayableBody(Pieces(b"abcdef", length=6), 3)
    body.fetch()
    body.fetch()
    assert (body.arrived, body.finished, body.at_hand, body.whole()) == (True, False, True, None)
    assert read(body) == [b"abcdef"]
    assert body.rewound() is None


def test_a_view_left_behind_says_so_instead_of_leaving_bytes_out() -> None:
    body = ReplayableBody(Pieces(b"abc", b"def", b"ghi"), 5)
    body.next_piece()
    newer = body.rewound()
    assert newer is not None
    newer.next_piece()
    newer.next_piece()
    with pytest.raises(RuntimeError, match="newer view"):
        body.next_piece()


def test_a_body_that_broke_cannot_be_sent_again() -> None:
    body = ReplayableBody(RequestBody(io.BytesIO(b"abc"), 5), 100)
    assert body.next_piece() == b"abc"
    with pytest.raises(ClientBodyError):
        body.next_piece()
    assert (body.rewound(), body.whole()) == (None, None)


def test_it_shows_what_the_client_s_body_shows() -> None:
    body = ReplayableBody(Pieces(b"abc", length=3), 100)
    assert (body.length, body.idle, body.fileno()) == (3, 3.0, 7)


def test_one_can_be_kept_inside_another() -> None:
    outer = ReplayableBody(Pieces(b"abc", b"def"), 100)
    inner = ReplayableBody(outer, 100)
    assert inner.next_piece() == b"abc"
    again = inner.rewound()
    assert again is not None
    assert b"".join(read(again)) == b"abcdef"
    assert outer.whole() == b"abcdef"


def test_any_number_of_attempts_at_any_place_gives_the_same_bytes() -> None:
    dice = random.Random(7)
    for _ in range(300):
        pieces = [dice.randbytes(dice.randint(1, 9)) for _ in range(dice.randint(0, 6))]
        data = b"".join(pieces)
        length = dice.choice([None, len(data)])
        body = ReplayableBody(Pieces(*pieces, length=length), 1000)
        for _ in range(3):
            for _ in range(dice.randint(0, 7)):
                body.next_piece()
            again = body.rewound()
            assert again is not None
            body = again
        assert b"".join(read(body)) == data
        assert body.whole() == data


def test_a_body_that_is_here_can_be_sent_again_whatever_its_size() -> None:
    data = b"x" * 100_000
    body = replayable(BytesBody(data), 10)
    assert (body.length, body.arrived, body.at_hand, body.finished) == (100_000, True, True, False)
    again = body.rewound()
    assert again is not None
    assert read(body) == read(again) == [data]
    body.fetch()
    assert (body.finished, body.next_piece(), body.fileno()) == (True, b"", None)
    assert body.whole() is data
    assert replayable(BytesBody(b""), 10).finished


def test_a_body_that_arrives_is_kept_up_to_a_bound() -> None:
    kept = replayable(Pieces(b"abc", length=3), 3)
    assert read(kept) == [b"abc"]
    assert kept.whole() == b"abc"
    forgotten = replayable(Pieces(b"abc", length=3), 2)
    assert read(forgotten) == [b"abc"]
    assert forgotten.rewound() is None

"""Chunked bodies: the same bytes whatever the pieces they come in, and never one too many."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.errors import ProtocolViolation
from gateway.transport.framing import MAX_HEAD, ChunkedDecoder

reproducible = settings(derandomize=True, max_examples=300, deadline=None)

pieces_of_body = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
extensions = st.sampled_from([b"", b";a=b", b" ; x", b';q="\\""'])
trailers = st.sampled_from([b"", b"X: y\r\n", b"A: b\r\nC: d\r\n"])


def _encode(pieces: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = (b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return b"".join(chunks) + b"0" + extension + b"\r\n" + trailer + b"\r\n"


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def _decode(parts: list[bytes]) -> tuple[ChunkedDecoder, bytes]:
    """As the response body does it: nothing is fed after the end."""
    decoder, out = ChunkedDecoder(), b""
    for number, part in enumerate(parts):
        out += decoder.feed(part)
        if decoder.finished:
            decoder.leftover += b"".join(parts[number + 1 :])
            break
    return decoder, out


@reproducible
@given(pieces_of_body, extensions, trailers, st.lists(st.integers(0, 500)), st.binary(max_size=9))
def test_any_split_decodes_to_the_same_bytes(
    pieces: list[bytes], extension: bytes, trailer: bytes, cuts: list[int], after: bytes
) -> None:
    encoded = _encode(pieces, extension, trailer) + after
    decoder, out = _decode(_split(encoded, cuts))
    assert decoder.finished
    assert out == b"".join(pieces)
    assert decoder.leftover == after


@reproducible
@given(pieces_of_body, st.integers(0, 500))
def test_cut_encoding_is_never_finished(pieces: list[bytes], cut: int) -> None:
    encoded = _encode(pieces)
    decoder, out = _decode([encoded[: cut % len(encoded)]])
    assert not decoder.finished
    assert b"".join(pieces).startswith(out)


@reproducible
@given(pieces_of_body, st.integers(0, 500), st.binary(max_size=3), st.integers(0, 3))
def test_mutation_is_a_violation_unfinished_or_another_encoding(
    pieces: list[bytes], place: int, inserted: bytes, removed: int
) -> None:
    encoded = _encode(pieces)
    place %= len(encoded)
    mutated = encoded[:place] + inserted + encoded[place + removed :]
    assume(mutated != encoded)
    try:
        decoder, out = _decode([mutated])
    except ProtocolViolation:
        return
    used = len(mutated) - len(decoder.leftover)
    # Nothing comes from nowhere, and what lies beyond the end is left over, not body.
    assert len(out) <= used
    if decoder.finished:
        assert mutated[:used].endswith(b"\r\n")
        assert _decode([mutated[:used]])[1] == out
        assert _decode([bytes([byte]) for byte in mutated[:used]])[1] == out
    else:
        assert not decoder.leftover


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\r\n",
            b"x\r\n",
            b"-1\r\n",
            b"+1\r\na\r\n",
            b"0x1\r\na\r\n",
            b" 1\r\na\r\n",
            b"1\na\r\n",
        ),
        *(b"1\r\nab\r\n", b"1\r\na\n0\r\n\r\n", b"1;a\x00\r\n", b"1_0\r\n", b"0\n\n", b"1 2\r\n"),
        *(b"0\r\n\n", b"00000000000000001\r\n", b"1\r\naXY"),
    ],
)
def test_malformed_chunk_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        _decode([data])
    with pytest.raises(ProtocolViolation):
        _decode([bytes([byte]) for byte in data])


@pytest.mark.parametrize("data", [b"1;" + b"a" * MAX_HEAD, b"0\r\n" + b"X: y\r\n" * MAX_HEAD])
def test_endless_lines_are_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        _decode([data + b"a"])


def test_nothing_after_the_end_is_body() -> None:
    decoder, out = _decode([b"1\r\na\r\n0\r\n\r\n1\r\nb\r\n0\r\n\r\n"])
    assert (out, decoder.leftover) == (b"a", b"1\r\nb\r\n0\r\n\r\n")

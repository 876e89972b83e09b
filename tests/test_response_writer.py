"""What gunicorn's response sends, and in how many pieces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName

from gateway.response_writer import GatewayResponse

Fields = list[tuple[str, str]]
SMALL: Fields = [("Content-Type", "text/plain"), ("Content-Length", "2")]


class Recorder:
    """A socket that keeps what is sent, call by call."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)


def responding(
    fields: Fields, *pieces: bytes, status: str = "200 OK", method: str = "GET"
) -> list[bytes]:
    """What is sent for a response, call by call."""
    request: Any = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    socket = Recorder()
    response = GatewayResponse(request, socket, SimpleNamespace(is_ssl=False, sendfile=None))
    response.start_response(status, fields)
    for piece in pieces:
        response.write(piece)
    response.close()
    return socket.sent


def parted(data: bytes) -> tuple[list[bytes], bytes]:
    """The lines of a head, and what follows it."""
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def test_head_and_body_go_together() -> None:
    (sent,) = responding(SMALL, b"ok")
    lines, body = parted(sent)
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[-2:] == [b"Content-Type: text/plain", b"Content-Length: 2"]
    assert body == b"ok"


def test_an_empty_first_piece_sends_the_head_alone() -> None:
    head, body = responding(SMALL, b"", b"ok")
    assert head.endswith(b"\r\n\r\n")
    assert body == b"ok"


def test_a_large_first_piece_is_not_copied() -> None:
    large = b"x" * 65537
    head, body = responding([("Content-Length", "65537")], large)
    assert head.endswith(b"\r\n\r\n")
    assert body is large


def test_chunks() -> None:
    first, second, last = responding([], b"one", b"three")
    lines, body = parted(first)
    assert b"Transfer-Encoding: chunked" in lines
    assert (body, second, last) == (b"3\r\none\r\n", b"5\r\nthree\r\n", b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")],
)
def test_no_body_where_there_is_none(method: str, status: str) -> None:
    (sent,) = responding(SMALL, b"ok", status=status, method=method)
    assert parted(sent)[1] == b""


def test_a_response_without_pieces_has_a_head() -> None:
    (sent,) = responding([("Content-Length", "0")])
    assert sent.endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_never_more_than_was_announced() -> None:
    assert b"".join(responding(SMALL, b"okay", b"more")).endswith(b"\r\n\r\nok")


def dates(sent: list[bytes]) -> list[bytes]:
    """The values of Date."""
    lines, _ = parted(b"".join(sent))
    return [line[6:] for line in lines if line.startswith(b"Date: ")]


def test_the_date_is_the_origins() -> None:
    told = "Tue, 15 Nov 1994 08:12:31 GMT"
    assert dates(responding([("date", told), *SMALL], b"ok")) == [told.encode()]


def test_without_one_it_is_the_servers() -> None:
    (date,) = dates(responding(SMALL, b"ok"))
    assert date.endswith(b"GMT")


def test_hop_by_hop_fields_and_server_are_not_the_applications() -> None:
    fields = [("Connection", "x"), ("Server", "x"), ("Keep-Alive", "x"), ("TE", "x"), *SMALL]
    lines, _ = parted(b"".join(responding(fields, b"ok")))
    assert [line for line in lines if line.endswith(b": x")] == []


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b", "\u20ac"])
def test_a_value_that_would_part_the_head_is_refused(value: str) -> None:
    with pytest.raises(InvalidResponseHeader):
        responding([("X-Value", value)])


@pytest.mark.parametrize("name", ["X Value", "", "X\r\nY", "X:"])
def test_a_name_that_is_none_is_refused_each_time(name: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidResponseHeaderName):
            responding([(name, "1")])


def test_values_are_sent_as_latin_1_without_space_around() -> None:
    lines, _ = parted(b"".join(responding([("X-Value", " \xe9 ")], b"ok")))
    assert b"X-Value: \xe9" in lines

"""A small reader of complete HTTP/1.1 answers, enough for the load generator."""

from __future__ import annotations

from typing import NamedTuple

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class IncompleteError(Exception):
    """More bytes are needed."""


class Answer(NamedTuple):
    """What the load generator wants to know of one answer."""

    status: int
    keep_alive: bool


def parse_answer(data: bytes) -> Answer:
    """The answer in `data`; IncompleteError when its end is missing, ValueError when malformed."""
    head_size = data.find(HEAD_END)
    if head_size < 0:
        raise IncompleteError
    head = data[:head_size].lower() + b"\r\n"
    if not _body_is_complete(head, data, head_size + len(HEAD_END)):
        raise IncompleteError
    return Answer(int(data[9:12]), b"\r\nconnection: close\r\n" not in head)


def _body_is_complete(head: bytes, data: bytes, start: int) -> bool:
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 : head.index(b"\r\n", at + 17)])
        return len(data) - start >= length
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return data.endswith(LAST_CHUNK)
    raise ValueError("an answer without Content-Length and without chunks")

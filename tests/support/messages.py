"""HTTP/1.1 messages written out as bytes, so that a test shows only what matters to it."""

from __future__ import annotations

HOST = b"gateway.example"


def request(target: bytes, *headers: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """A request of the wire client; a body gets its Content-Length unless headers frame it.

    It asks to close the connection, so that a client left by a test does not linger.
    """
    framed = any(h.lower().startswith((b"content-length:", b"transfer-encoding:")) for h in headers)
    length = [b"Content-Length: %d" % len(body)] if body and not framed else []
    return request_head(target, *length, b"Connection: close", *headers, method=method) + body


def request_head(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """A request's head, with a Host unless the headers have one, and not a field more."""
    hosted = any(header.lower().startswith(b"host:") for header in headers)
    lines = [b"%s %s HTTP/1.1" % (method, target), *([] if hosted else [b"Host: " + HOST])]
    return b"\r\n".join([*lines, *headers, b"", b""])


def response(status: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """A response with a Content-Length, unless its headers frame it already."""
    framed = any(h.lower().startswith((b"content-length:", b"transfer-encoding:")) for h in headers)
    length = [] if framed else [b"Content-Length: %d" % len(body)]
    return response_head(status, *length, *headers) + body


def response_head(status: bytes, *headers: bytes) -> bytes:
    """A response's head and nothing else."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"", b""])


def chunks(*pieces: bytes) -> bytes:
    """A chunked body of these pieces, with its end."""
    return b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)

"""gunicorn's response with what a gateway needs: one packet where one will do, the origin's date.

Loaded by the master: it imports gunicorn and the standard library only.
"""
# mypy: allow-subclassing-any

from __future__ import annotations

from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName

# Larger pieces are not copied to be sent with the head.
_JOINED = 64 * 1024

# Names that were found to be valid, with what they mean here: bounded, as backends choose them.
_names: dict[str, str] = {}
_MOST_NAMES = 1000


class GatewayResponse(wsgi.Response):
    """Sends the head together with the body's first piece, if that is there. An empty first piece
    sends the head alone.

    A `Date` that the application gives is sent instead of the server's: a response that was kept,
    or only passed on, was not made now (RFC 9110 section 6.6.1).
    """

    headers_sent: bool
    _date = ""
    _head = b""

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check and keep the fields; raises as gunicorn does."""
        for name, value in headers:
            meaning = _names.get(name)
            if meaning is None:
                meaning = _checked(name)
            if not wsgi.HEADER_VALUE_RE.fullmatch(value):
                raise InvalidResponseHeader(repr(name))
            if meaning:
                self._special(meaning, name, value.strip(" \t"))
            else:
                self.headers.append((name, value.strip(" \t")))

    def _special(self, meaning: str, name: str, value: str) -> None:
        if meaning == "content-length":
            self.response_length = int(value)
            self.headers.append((name, value))
        elif meaning == "date":
            self._date = value
        else:  # what gunicorn knows about other hop-by-hop fields
            super().process_headers([(name, value)])

    def send_headers(self) -> None:
        """Send the head, now."""
        if not self.headers_sent:
            self.sock.sendall(self._made_head())
            self.headers_sent = True

    def _made_head(self) -> bytes:
        lines = self.default_headers()
        if self._date:
            lines[2] = f"Date: {self._date}\r\n"
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")

    def write(self, arg: Any) -> None:
        """Send a piece of the body, and the head if it was not sent."""
        if not self.headers_sent and 0 < len(arg) <= _JOINED:
            self._head = self._made_head()
            self.headers_sent = True
        super().write(arg)
        if self._head:  # nothing of the piece was sent
            head, self._head = self._head, b""
            self.sock.sendall(head)

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        if data or head:
            self.sock.sendall(head + data if head else data)


def _checked(name: str) -> str:
    """What a field's name means to the server: empty for nothing. Raises as gunicorn does."""
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is not a string")
    if not wsgi.TOKEN_RE.fullmatch(name):
        raise InvalidResponseHeaderName(repr(name))
    lower = name.lower()
    meaning = lower if lower == "content-length" or util.is_hoppish(name) else ""
    if len(_names) < _MOST_NAMES:
        _names[name] = meaning
    return meaning


def use_for_all_responses() -> None:
    """Have gunicorn's workers make these: they ask for no class of their own."""
    wsgi.Response = GatewayResponse

"""A request as an operator describes it, and what the server would make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_SERVER = (
    *("limit_request_line", "limit_request_fields", "limit_request_field_size", "header_map"),
    *("forwarded_allow_ips", "secure_scheme_headers", "forwarder_headers"),
)
#: A peer on a unix socket, which has no address.
UNIX = "unix"


class Unreadable(Exception):
    """The server answers such a request itself, and the gateway never sees it."""

    def __init__(self, status: int, reason: str, kind: str) -> None:
        super().__init__(f"{status} {reason}")
        self.answer: dict[str, Any] = {
            "status": status,
            "code": None,
            "detail": f"{reason} ({kind})",
            "headers": [],
        }


@dataclass(frozen=True, slots=True)
class Described:
    """What is asked. target: a path with its query, or a whole URL, whose scheme and host it has
    then. fields: in order; a Host among them counts instead of `host`. address: of who connects,
    `unix` for a socket."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # credentials are there
    address: str = "127.0.0.1"
    host: str = "localhost"
    data: bytes = b""

    def environ(self) -> dict[str, Any]:
        """What the application gets of it. Raises Unreadable."""
        from gunicorn.http.errors import ParseException
        from gunicorn.http.parser import RequestParser
        from gunicorn.http.wsgi import create

        from gateway.workers import refused_with

        peer = "" if self.address == UNIX else (self.address, 0)
        config = _server_config()
        try:
            message = next(RequestParser(config, iter([self._message()]), peer))
        except ParseException as error:
            raise Unreadable(*refused_with(error), type(error).__name__) from None
        message.body.message = message  # as gateway.server does
        _, environ = create(message, _Nowhere(), peer, self.host, config)
        environ["gunicorn.socket"] = None  # nobody is there who could leave
        environ["wsgi.url_scheme"] = self._parts()[0]
        return dict(environ)

    def _parts(self) -> tuple[str, str, str]:
        """Scheme, host, and what is asked for there."""
        if not self.target.lower().startswith(("http://", "https://")):
            return "http", self.host, self.target
        parts = urlsplit(self.target)
        rest = self.target.partition("://")[2][len(parts.netloc) :]
        return parts.scheme.lower(), parts.netloc, rest if rest.startswith("/") else f"/{rest}"

    def _message(self) -> bytes:
        _, host, target = self._parts()
        fields = list(self.fields)
        given = {name.lower() for name, _ in fields}
        if "host" not in given:
            fields.insert(0, ("Host", host))
        if self.data and given.isdisjoint(("content-length", "transfer-encoding")):
            fields.append(("Content-Length", str(len(self.data))))
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields)]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + self.data


def _server_config() -> Any:
    from gunicorn.config import Config

    from gateway import server

    config = Config()
    for name in _SERVER:
        config.set(name, getattr(server, name))
    return config


class _Nowhere:
    """The client's end of a connection that there is not."""

    def send(self, data: bytes) -> int:
        """`100 Continue`, for nobody."""
        return len(data)

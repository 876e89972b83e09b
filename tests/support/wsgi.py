"""A gateway without a server: built in process, asked through its WSGI callable."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import jwt
import orjson
from flask import Flask

from gateway import Service, create_app, public
from gateway.testing_stub import Backend, StubTransport
from settings import Settings

SECRET = "a secret of tests, longer than thirty-two bytes"
Pairs = Sequence[tuple[str, str]]


def make_settings(**changes: Any) -> Settings:
    """Settings that count nothing, log nothing and share nothing."""
    return Settings(
        **{
            "JWT_SECRET": SECRET,
            "STATE_URL": "memory://",
            "WEB_CONCURRENCY": 1,
            "RATE_LIMIT_DEFAULT": "",
            "RATE_LIMIT_FAILED_LOGINS": "",
            "ACCESS_LOG": False,
            "SECURITY_LOG": False,
            "VIA_PSEUDONYM": "edge",
            **changes,
        }
    )


def make_app(*services: Service, **changes: Any) -> Flask:
    """The application of these services; `changes` are settings."""
    return create_app(make_settings(**changes), services=services)


def answer_ok(*_asked: object) -> tuple[int, dict[str, str], bytes]:
    """A backend that is content with everything."""
    return 200, {"Content-Type": "text/plain"}, b"ok"


def stubbed(
    name: str = "things", prefix: str = "/things", backend: Backend = answer_ok, **options: Any
) -> tuple[Service, StubTransport]:
    """A service whose backend is a function, and what was sent there."""
    stub = StubTransport(backend)
    service = Service(
        name,
        __name__,
        url_prefix=prefix,
        upstream=f"http://{name}.internal",
        session=stub.session(),
        **options,
    )
    return service, stub


def open_service(**options: Any) -> tuple[Service, StubTransport]:
    """A stubbed service that everybody may use."""
    service, stub = stubbed(**options)
    return public(service), stub


def token(subject: str = "ada", **claims: Any) -> str:
    """A token the applications of `make_app` accept."""
    return jwt.encode({"sub": subject, "exp": time.time() + 3600, **claims}, SECRET, "HS256")


def bearer(*permissions: str, **claims: Any) -> tuple[str, str]:
    """The field that presents a token with these permissions."""
    return "Authorization", f"Bearer {token(permissions=list(permissions), **claims)}"


def bearer_line(subject: str, *permissions: str) -> bytes:
    """The same, of somebody, as a line of a request's head."""
    name, value = bearer(*permissions, sub=subject)
    return f"{name}: {value}".encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the WSGI callable answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of one header; names compare without case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The stable name of a failure's cause."""
        return str(self.json["code"])


def make_environ(
    raw: str, method: str = "GET", headers: Pairs = (), body: bytes = b"", **changes: Any
) -> dict[str, Any]:
    """What gunicorn would make of a request for the target `raw`."""
    path, _, query = raw.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": raw,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "gateway.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "gateway.example",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers:
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ.update(changes)
    return environ


def run(app: Any, environ: dict[str, Any]) -> Answer:
    """Serve one request as a server would, to the closing of its body."""
    heads: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
        heads.append((status, fields))

    pieces: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(pieces)
    finally:
        getattr(pieces, "close", lambda: None)()
    status, fields = heads[-1]
    return Answer(int(status[:3]), fields, body)


def call(
    app: Any, raw: str, method: str = "GET", headers: Pairs = (), body: bytes = b"", **changes: Any
) -> Answer:
    """Ask the application for the target `raw`."""
    return run(app, make_environ(raw, method, headers, body, **changes))

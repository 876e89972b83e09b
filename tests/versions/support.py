"""A service with versions whose backends are functions."""

from __future__ import annotations

from typing import Any

from gateway import Service, Version, Versions, public
from gateway.testing_stub import Backend, StubTransport


def echo(_method: str, url: str, *_rest: object) -> tuple[int, dict[str, str], bytes]:
    """A backend that answers with the URL it was asked for."""
    return 200, {"Content-Type": "text/plain"}, url.encode()


def versioned(
    *versions: Version,
    prefix: str | None = "/api/users",
    backend: Backend = echo,
    choice: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Service, StubTransport]:
    """The service `users`, which everybody may use; v1 and v2 where none are given. choice: how
    requests name one, by default v1, in a header or in the path."""
    stub = StubTransport(backend)
    if not versions:
        versions = (Version("v1"), Version("v2", upstream="http://two"))
    usual: dict[str, Any] = {"default": "v1", "path": "/api/{version}/users"}
    options = {"upstream": "http://one", "session": stub.session(), **options}
    service = Service(
        "users",
        __name__,
        url_prefix=prefix,
        versions=Versions(*versions, **(usual if choice is None else choice)),
        **options,
    )
    return public(service), stub

"""Chains with a fallback in front, and what came of them."""

from __future__ import annotations

from typing import Any

from gateway import (
    Fallback,
    Handler,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.errors import ConnectFailed
from tests.support.outline import make_context


def failing(error: BaseException) -> Handler:
    """A chain that fails."""

    def fail(_request: UpstreamRequest) -> UpstreamResponse:
        raise error

    return fail


def read(response: UpstreamResponse) -> bytes:
    """All of a body."""
    return b"".join(response.body)


def header(response: UpstreamResponse, name: str) -> list[str]:
    """All values of a field."""
    return [value for key, value in response.headers if key.lower() == name.lower()]


def guarded(
    following: Handler, others: dict[str, Handler] | None = None, **options: Any
) -> Handler:
    """A chain with a fallback in front."""
    return Fallback(**options).wrap(following, make_context(others=others))


def refusing(*_asked: object) -> tuple[int, dict[str, str], bytes]:
    """A backend that is not there."""
    raise ConnectFailed

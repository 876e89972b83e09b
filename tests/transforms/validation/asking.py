"""Requests held against a validation, for its tests."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gateway.bodies import RequestBody
from gateway.errors import Refusal
from gateway.exchange import Headers, UpstreamRequest
from gateway.transforms import JSONSchema, OpenAPI
from tests.support.outline import make_context, outline

Validation = JSONSchema | OpenAPI


def asked(
    method: str = "POST",
    target: str = "/orders",
    body: Any = None,
    *,
    media: str | None = "application/json",
    fields: Headers | None = None,
    chunked: bool = False,
) -> UpstreamRequest:
    """A request; body: bytes, or what JSON says, None for no body."""
    headers = list(fields or [])
    if body is None:
        return outline(method, target, headers=headers)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if media is not None:
        headers.append(("Content-Type", media))
    source = RequestBody(io.BytesIO(data), None if chunked else len(data))
    return outline(method, target, headers=headers, body=source)


def refused(policy: Validation, request: UpstreamRequest) -> Refusal:
    """How a request is refused."""
    with pytest.raises(Refusal) as raised:
        policy.outlined(request)
    return raised.value


def errors(policy: Validation, request: UpstreamRequest) -> list[dict[str, str]]:
    """What a request is refused for."""
    found: list[dict[str, str]] = refused(policy, request).members["errors"]
    return found


def wrong(policy: Validation, request: UpstreamRequest) -> dict[str, str]:
    """What its body is refused for: what is said, by pointer."""
    return {one["pointer"]: one["detail"] for one in errors(policy, request)}


def sent(request: UpstreamRequest) -> bytes:
    """All of a request's body."""
    pieces = []
    while request.body is not None and not request.body.finished:
        pieces.append(request.body.next_piece())
    return b"".join(pieces)


def faults(policy: Validation) -> list[str]:
    """What is wrong with it at start."""
    return policy.faults(make_context())

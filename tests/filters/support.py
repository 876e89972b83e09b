"""Gateways with filters, and filters that say when they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask

from gateway import (
    Handler,
    Service,
    UpstreamRequest,
    UpstreamResponse,
    create_app,
)
from gateway.filters import pre, route
from tests.support.wsgi import make_settings


def app_with(
    *services: Service, filters: Sequence[Callable[..., Any]] = (), **settings: Any
) -> Flask:
    """A gateway of these services and filters."""
    return create_app(make_settings(**settings), services=services, filters=filters)


def noting(told: list[str], word: str, phase: Any = pre, **options: Any) -> Callable[..., Any]:
    """A filter that says when it is called, and nothing else."""

    def note(_given: object) -> None:
        told.append(word)

    noted: Callable[..., Any] = phase(name=word, **options)(note)
    return noted


def layer(told: list[str], word: str, **options: Any) -> Callable[..., Any]:
    """A route filter that says when it is called."""

    def note(request: UpstreamRequest, following: Handler) -> UpstreamResponse:
        told.append(word)
        return following(request)

    return route(name=word, **options)(note)

"""Services and requests of the tests that go through an application."""

from __future__ import annotations

import itertools
import time
from typing import Any

import jwt
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway import Service, public
from tests.support.gunicorn import SECRET

_numbers = itertools.count()


def service(name: str = "orders", **options: Any) -> Service:
    """A public service without a backend: what it forwards answers 503."""
    made = Service(name, __name__, url_prefix=f"/{name}", upstream="", **options)
    public(made)
    return made


def view(of: Service, path: str, *decorators: Any, methods: tuple[str, ...] = ("GET",)) -> None:
    """Add a view that answers 200."""

    def answer() -> str:
        return "ok"

    for decorator in decorators:
        decorator(answer)
    of.add_url_rule(path, f"view{next(_numbers)}", answer, methods=list(methods))


def token(user: str) -> dict[str, str]:
    """The header that says who asks."""
    claims = {"sub": user, "exp": int(time.time()) + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


def statuses(client: FlaskClient, path: str, times: int, **options: Any) -> list[int]:
    """Ask so often."""
    return [client.open(path, **options).status_code for _ in range(times)]


def passed(client: FlaskClient, path: str, times: int, **options: Any) -> int:
    """How many of these requests were not over a limit."""
    return sum(status != 429 for status in statuses(client, path, times, **options))


def numbers(response: TestResponse) -> tuple[int, int, int]:
    """Limit, remaining and reset, as told."""
    limit, remaining, reset = (
        int(response.headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")
    )
    return limit, remaining, reset

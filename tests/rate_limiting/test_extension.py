"""Declared limits, as a client meets them."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Blueprint, request
from flask_limiter import Limiter as FlaskLimiter

from gateway import Service, limiter, public, require
from tests.rate_limiting.apps import passed, service, statuses, token, view
from tests.rate_limiting.conftest import MakeClient
from tests.support.gunicorn import ROOT


def test_service_limit_covers_all_its_paths(make_client: MakeClient) -> None:
    orders, users = service("orders"), service("users")
    limiter.limit("3/hour")(orders)
    view(orders, "/view")
    client = make_client(orders, users)
    assert [client.get(f"/orders{path}").status_code for path in ("/view", "/x", "/y")] == [
        200,
        503,
        503,
    ]
    assert client.get("/orders/view").status_code == 429
    assert passed(client, "/users/x", 5) == 5


def test_view_limit_comes_on_top(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("5/hour")(orders)
    view(orders, "/view", limiter.limit("2/hour"))
    client = make_client(orders)
    assert statuses(client, "/orders/view", 3) == [200, 200, 429]
    # What the view refused was not counted for the service.
    assert passed(client, "/orders/x", 9) == 3


def test_default_user_service_and_view_limits_stack(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("30/minute")(orders)
    view(orders, "/view", limiter.limit("10/minute"))
    client = make_client(orders, RATE_LIMIT_DEFAULT="50/minute", RATE_LIMIT_USER="40/minute")
    policies = client.get("/orders/view", headers=token("ann")).headers["RateLimit-Policy"]
    assert [int(part.partition("q=")[2].partition(";")[0]) for part in policies.split(", ")] == [
        10,
        30,
        40,
        50,
    ]
    assert "40" not in client.get("/orders/view").headers["RateLimit-Policy"]


def test_default_covers_services_together(make_client: MakeClient) -> None:
    client = make_client(service("orders"), service("users"), RATE_LIMIT_DEFAULT="4/hour")
    assert passed(client, "/orders/x", 2) == 2
    assert passed(client, "/users/x", 9) == 2


def test_services_cannot_share_with_the_default_by_their_name(make_client: MakeClient) -> None:
    default, user = service("default"), service("user")
    limiter.limit("3/hour")(default)
    limiter.limit("3/hour")(user)
    client = make_client(default, user, RATE_LIMIT_DEFAULT="6/hour", RATE_LIMIT_USER="3/hour")
    assert passed(client, "/default/x", 5, headers=token("ann")) == 3
    assert passed(client, "/user/x", 5) == 3


def test_several_windows_in_one_declaration(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("10/second;100/minute;1000/hour")(orders)
    client = make_client(orders)
    assert client.get("/orders/x").headers["RateLimit-Policy"] == (
        '"orders-1";q=10;w=1, "orders-60";q=100;w=60, "orders-3600";q=1000;w=3600'
    )


def test_users_and_addresses_count_apart(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour")(orders)
    client = make_client(orders)
    for who in ({"headers": token("ann")}, {"headers": token("bob")}, {}):
        assert passed(client, "/orders/x", 4, **who) == 2
    other = {"REMOTE_ADDR": "192.0.2.7"}
    assert passed(client, "/orders/x", 4, environ_overrides=other) == 2
    assert passed(client, "/orders/x", 4, environ_overrides=other, headers=token("ann")) == 0


def test_failed_attempts_are_counted(make_client: MakeClient) -> None:
    orders = Service("orders", __name__, url_prefix="/orders", upstream="")
    require("order:read")(orders)
    client = make_client(orders, RATE_LIMIT_DEFAULT="4/hour")
    assert client.get("/orders/x").status_code == 401
    assert client.get("/orders/x", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/nowhere").status_code == 404
    assert client.open("/orders/x", method="TRACE").status_code == 405
    assert client.get("/orders/x").status_code == 429
    # Ann may not read orders, but her count is her own.
    assert statuses(client, "/orders/x", 5, headers=token("ann")) == [403] * 4 + [429]


def test_claimed_path_counts_for_its_service(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour")(orders)
    view(orders, "/view")
    client = make_client(orders)
    assert statuses(client, "/orders/view", 3, method="DELETE") == [405, 405, 429]


def test_probes_are_not_limited(make_client: MakeClient) -> None:
    client = make_client(RATE_LIMIT_DEFAULT="1/hour")
    assert statuses(client, "/healthz", 3) == [200] * 3
    assert statuses(client, "/readyz", 3) == [200] * 3


def test_views_of_one_factory_do_not_share(make_client: MakeClient) -> None:
    orders = service()
    for name in ("a", "b"):
        view(orders, f"/{name}", limiter.limit("2/hour"))
    client = make_client(orders)
    assert [passed(client, f"/orders/{name}", 4) for name in ("a", "b")] == [2, 2]


def test_wrapped_view_keeps_its_limits_to_itself(make_client: MakeClient) -> None:
    orders = service()

    @limiter.limit("5/hour")
    def plain() -> str:
        return "ok"

    @limiter.limit("2/hour")
    @functools.wraps(plain)
    def wrapped() -> str:
        return plain()

    orders.add_url_rule("/plain", "plain", plain)
    orders.add_url_rule("/wrapped", "wrapped", wrapped)
    client = make_client(orders)
    assert passed(client, "/orders/plain", 9) == 5
    assert passed(client, "/orders/wrapped", 9) == 2


def test_nested_blueprint(make_client: MakeClient) -> None:
    orders = service()
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/view", "view", public(lambda: "ok"))
    limiter.limit("2/hour")(inner)
    limiter.limit("5/hour")(orders)
    orders.register_blueprint(inner)
    client = make_client(orders)
    assert statuses(client, "/orders/inner/view", 3) == [200, 200, 429]
    assert passed(client, "/orders/x", 9) == 3


def test_request_filter(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "_request_filters", [])
    limiter.request_filter(lambda: request.headers.get("X-Probe") == "yes")
    client = make_client(service(), RATE_LIMIT_DEFAULT="1/hour")
    assert passed(client, "/orders/x", 3, headers={"X-Probe": "yes"}) == 3
    assert passed(client, "/orders/x", 3) == 1


def test_two_applications_do_not_disturb_each_other(make_client: MakeClient) -> None:
    orders = service()
    limiter.limit("2/hour")(orders)
    first = make_client(orders)
    second = make_client(orders, RATE_LIMIT_HEADERS=False)
    assert [passed(client, "/orders/x", 4) for client in (first, second, first)] == [2, 2, 0]
    assert "RateLimit" in first.get("/orders/x").headers
    assert "RateLimit" not in second.get("/orders/x").headers


def test_what_is_not_offered_says_so(make_client: MakeClient) -> None:
    with pytest.raises(TypeError, match="declared"), limiter.limit("1/hour"):
        pass
    with pytest.raises(TypeError, match="create_app"):
        limiter.init_app(make_client().application)
    assert isinstance(limiter, FlaskLimiter)


def test_command_line_of_flask_limiter_does_not_break(tmp_path: Path) -> None:
    settings = {"STATE_URL": f"lmdb://{tmp_path}", "JWT_SECRET": "s" * 40}
    upstreams = {f"{name}_URL": "" for name in _services()}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app:app", "limiter", "limits"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings, **upstreams},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    # It needs an extra that the gateway does not install; `flask gateway services` shows limits.
    assert done.returncode == 0 or "flask-limiter[cli]" in said


def _services() -> list[str]:
    from blueprints import SERVICES

    return [service.variable.removesuffix("_URL") for service in SERVICES]

"""The start: every fault at once, nothing opened, and the names that are public."""

from __future__ import annotations

import ast
import importlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway import ConfigurationError, Service, create_app, public
from gateway.configuration import load_settings
from tests.support.wsgi import call, make_app, make_settings, open_service, stubbed

PACKAGE = Path(gateway.__file__).parent


def _faults(*services: Service, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as failed:
        make_app(*services, **changes)
    return "\n".join(failed.value.faults)


def _service(name: str, **options: Any) -> Service:
    return public(Service(name, __name__, url_prefix=f"/{name}", **options))


def test_faults_of_settings_and_services_come_together() -> None:
    text = _faults(
        _service("unset"),
        _service("wrong", upstream="ftp://x"),
        _service("strip", upstream="http://x", strip_prefix="/other"),
        JWT_SECRET="short",
        BIND="unix:/run/gateway.sock",
        STATE_URL="memory://",
        WEB_CONCURRENCY=2,
    )
    for part in (
        "JWT_SECRET is shorter",
        "TRUSTED_PROXIES must name `unix`",
        "UNSET_URL is not set",
    ):
        assert part in text
    for part in ("service 'wrong': upstream (", "strip_prefix '/other'", "memory://"):
        assert part in text


def test_missing_address_names_variable_and_place() -> None:
    assert f"names the instances of service 'a' ({__file__}:" in _faults(_service("a"))
    text = _faults(_service("a", variable="NOWHERE_URL"))
    assert text.startswith("NOWHERE_URL is not set: it names the instances of service 'a' (")
    both = _faults(_service("nowhere"), _service("b", variable="NOWHERE_URL"))
    assert both.count("NOWHERE_URL is not set") == 1


def test_services_of_one_name_are_a_fault() -> None:
    twins = [_service("twin", upstream="http://x") for _ in range(2)]
    assert "two services are named 'twin'" in _faults(*twins)


def test_a_service_that_another_hides_is_a_fault() -> None:
    first, second = (stubbed(name, "/same", headers=None)[0] for name in ("first", "second"))
    text = _faults(first, second)
    assert "service 'second' is never reached: 'first' comes first" in text


def test_a_service_behind_one_with_headers_is_reached() -> None:
    first, _ = open_service(name="first", prefix="/same", headers={"X-Version": "2"})
    second, stub = open_service(name="second", prefix="/same")
    assert call(make_app(first, second), "/same/x").status == 200
    assert len(stub.requests) == 1


def test_every_unguarded_service_is_listed() -> None:
    services = [stubbed(name, f"/{name}")[0] for name in ("one", "two")]
    text = _faults(*services)
    assert "service 'one'" in text
    assert "service 'two'" in text


def test_no_key_is_a_fault() -> None:
    assert "JWT_SECRET or JWT_KEYS must be set" in _faults(JWT_SECRET="")


def test_faults_never_show_a_secret() -> None:
    assert "hunter2" not in _faults(JWT_SECRET="hunter2")


def test_wrong_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/33")
    monkeypatch.setenv("READ_TIMEOUT", "0")
    monkeypatch.setenv("JWT_SECRET", "hunter2")
    with pytest.raises(ConfigurationError) as failed:
        load_settings()
    names = [fault.partition(":")[0] for fault in failed.value.faults]
    assert sorted(names) == ["PORT", "READ_TIMEOUT", "TRUSTED_PROXIES"]
    assert "hunter2" not in str(failed.value)


def test_nothing_is_opened_at_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def opened(*_args: object, **_options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)
    folder = tmp_path / "state"
    state = {"STATE_URL": f"lmdb://{folder}", "RATE_LIMIT_DEFAULT": "10/minute"}
    make_app(_service("a", upstream="http://backend.internal"), **state)
    make_app(_service("a", upstream="https://b.internal"), REDIS_URL="redis://c.internal", **state)
    assert not list(folder.iterdir())


def test_services_of_the_fork_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERS", "ORDERS", "PRODUCTS", "PAYMENTS", "NOTIFICATIONS"):
        monkeypatch.setenv(f"{name}_URL", "")
    monkeypatch.setattr("gateway.configuration.load_settings", make_settings)
    app = create_app()
    assert call(app, "/api/v1/products/1").status == 503
    assert call(app, "/api/v1/users/1").status == 401


def test_applications_do_not_share_services_state() -> None:
    service, stub = open_service()
    first, second = make_app(service, MAX_BODY_BYTES=1), make_app(service)
    assert call(first, "/things/x", "POST", body=b"two").status == 413
    assert call(second, "/things/x", "POST", body=b"two").status == 200
    assert len(stub.requests) == 1


def test_exported_names_are_sorted_complete_and_importable() -> None:
    names = list(gateway.__all__)
    ordered = sorted(names, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))
    assert names == ordered
    assert set(names) == set(gateway._WHERE) == _typed_names()
    for name in names:
        value = getattr(gateway, name)
        assert value is getattr(importlib.import_module(gateway._WHERE[name]), name)


def _typed_names() -> set[str]:
    """What type checkers see."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gateway.nothing


@pytest.mark.parametrize("module", ["gateway", "gateway.server"])
def test_import_loads_no_framework(module: str) -> None:
    """gunicorn's master reads these before a worker has patched the standard library."""
    heavy = "{'requests', 'urllib3', 'flask', 'werkzeug', 'gateway.application'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

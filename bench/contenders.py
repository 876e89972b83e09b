"""The three servers that are compared, and the backend they share."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import jwt

HERE = Path(__file__).resolve().parent
FORWARDED_PATH = "/api/v1/orders/7"
USER_ID = "user-1"
# The gateway's own defaults for one worker; the hello-world server gets the same.
CONNECTIONS, THREADS, KEEPALIVE = "512", "16", "75"
SERVICES = ("ORDERS", "USERS", "PRODUCTS", "PAYMENTS", "NOTIFICATIONS")


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One server under load. `gateway`: it has duties; `master`: only its children serve."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str
    environment: Mapping[str, str]
    gateway: bool
    master: bool


def backend_command(port: int) -> tuple[str, ...]:
    """The command line of the backend."""
    return (sys.executable, str(HERE / "backend.py"), str(port))


def base_environment() -> dict[str, str]:
    """What every process gets: none of the caller's settings, so that runs can be compared."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}


def bearer(secret: str) -> str:
    """The Authorization header of the load: one user with the one permission needed."""
    claims = {"sub": USER_ID, "exp": int(time.time()) + 3600, "permissions": ["order:read"]}
    return f"Authorization: Bearer {jwt.encode(claims, secret, 'HS256')}"


def new_secret() -> str:
    """A secret for one run."""
    return secrets.token_urlsafe(48)


def hello(port: int, worker_class: str) -> Contender:
    """Flask's hello-world under gunicorn: what any Flask answer costs here."""
    command = _gunicorn(
        port, "--workers", "1", "--worker-class", worker_class, "--threads", THREADS,
        "--worker-connections", CONNECTIONS, "--keep-alive", KEEPALIVE, "hello_app:app",
    )  # fmt: skip
    return Contender("hello", command, port, "/", base_environment(), gateway=False, master=True)


def gatehouse(port: int, worker_class: str, backend: str, secret: str, state: Path) -> Contender:
    """This gateway with its own gunicorn settings and one worker."""
    command = _gunicorn(port, "-c", "python:gateway.server", "gateway_app:app")
    environment = base_environment() | {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "WORKER_CLASS": worker_class,
        "WORKER_CONNECTIONS": CONNECTIONS,
        "WORKER_THREADS": THREADS,
        "KEEPALIVE_SECONDS": KEEPALIVE,
        # A replaced worker would take its CPU time with it.
        "MAX_REQUESTS": "0",
        "DRAIN_SECONDS": "0",
        "JWT_SECRET": secret,
        "RATE_LIMIT_DEFAULT": "",
        "STATE_URL": f"lmdb://{state}",
        **{f"{service}_URL": backend for service in SERVICES},
    }
    return Contender(
        "gatehouse", command, port, FORWARDED_PATH, environment, gateway=True, master=True
    )


def resilient(port: int, worker_class: str, backend: str, secret: str, state: Path) -> Contender:
    """The same with three instances to choose from, and the policies against their failures."""
    plain = gatehouse(port, worker_class, backend, secret, state)
    # One backend by three names: what choosing costs does not depend on where they lead.
    instances = ",".join(f"{backend}/{name}" for name in "abc")
    more = {"ORDERS_URL": instances, "BENCH_RESILIENT": "1"}
    return replace(plain, name="resilient", environment={**plain.environment, **more})


def fastapi(port: int, backend: str, secret: str) -> Contender:
    """A FastAPI + httpx gateway under uvicorn; it writes its own access log, as ours does."""
    command = (
        sys.executable, "-m", "uvicorn", "fastapi_app:app", "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1", "--no-access-log", "--log-level", "warning",
        "--no-server-header", "--no-date-header", "--timeout-keep-alive", KEEPALIVE,
    )  # fmt: skip
    environment = base_environment() | {"JWT_SECRET": secret, "ORDERS_URL": backend}
    return Contender(
        "fastapi", command, port, FORWARDED_PATH, environment, gateway=True, master=False
    )


def _gunicorn(port: int, *options: str) -> tuple[str, ...]:
    # Two servers would otherwise share one control socket in the home folder.
    address = ("--bind", f"127.0.0.1:{port}", "--no-control-socket")
    return (sys.executable, "-m", "gunicorn", *address, *options)

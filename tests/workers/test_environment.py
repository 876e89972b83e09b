"""A gateway says nothing but what it should, also where every warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from signal import SIGHUP, SIGTERM

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import start_gateway, wait_for
from tests.support.messages import request
from tests.workers.conftest import Start

INFORMATION = re.compile(r"\[[^]]+\] \[\d+\] \[INFO\] .*")
SERVICES = ("USERS", "ORDERS", "PRODUCTS", "PAYMENTS", "NOTIFICATIONS")


def test_life_without_a_warning(start: Start, worker_class: str) -> None:
    """Under gevent, a module imported before it was patched would be warned of. With threads, the
    master has loaded the libraries."""
    # What is open at the very end the system closes: of that Python warns only when it is asked to.
    with start(PYTHONWARNINGS="error,ignore::ResourceWarning") as gateway:
        first = gateway.worker_pids()
        loaded = Path(f"/proc/{gateway.pid}/maps").read_text()
        assert ("/orjson/" in loaded) == (worker_class == "gthread")
        assert exchange(gateway.address, request(b"/plain/x")).status == 200
        gateway.signal(SIGHUP)
        assert wait_for(lambda: not set(first) & set(gateway.worker_pids()), 30)
        assert exchange(gateway.address, request(b"/plain/x")).status == 200
        gateway.signal(SIGTERM)
        assert gateway.process.wait(30) == 0
        lines = gateway.stderr_text().splitlines()
        assert [line for line in lines if not INFORMATION.fullmatch(line)] == []


def test_ordinary_application_says_nothing_else(
    worker_class: str, upstream: ScriptedUpstream
) -> None:
    env = {f"{name}_URL": upstream.url for name in SERVICES}
    with start_gateway("app:app", worker_class=worker_class, workers=2, env=env) as gateway:
        assert exchange(gateway.address, request(b"/api/v1/products/1")).status == 200
        assert exchange(gateway.address, request(b"/api/v1/orders")).status == 401
        gateway.signal(SIGTERM)
        assert gateway.process.wait(30) == 0
        lines = gateway.stderr_text().splitlines()
        assert [line for line in lines if not INFORMATION.fullmatch(line)] == []
        text = (gateway.folder / "stdout").read_text()
        assert all(line.startswith("{") for line in text.splitlines())

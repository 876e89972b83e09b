"""How a gateway starts from its environment, and how it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.testing import ScriptedUpstream
from tests.support.client import exchange
from tests.support.gunicorn import ROOT, start_gateway, wait_for
from tests.support.messages import request
from tests.workers.conftest import Start
from tests.workers.starting import APP, Outcome, run_gunicorn


def refused(outcome: Outcome) -> bool:
    """Whether it ended as it should: failed, once, with a list and nothing else."""
    return (
        outcome.code != 0
        and outcome.stdout == ""
        and outcome.stderr.count("cannot start:") == 1
        and "Traceback" not in outcome.stderr
        and "Booting worker" not in outcome.stderr
    )


WRONG = {
    "values": (
        {"WEB_CONCURRENCY": "0", "READ_TIMEOUT": "soon", "TRUSTED_PROXIES": "here"},
        ["WEB_CONCURRENCY", "READ_TIMEOUT", "TRUSTED_PROXIES"],
    ),
    "keys and addresses": (
        {"JWT_SECRET": "short", "JWT_KEYS": "HS256:env:NOBODY", "PLAIN_URL": "ftp://x"},
        ["JWT_SECRET", "JWT_KEYS", "PLAIN_URL"],
    ),
    "both": (
        {"READ_TIMEOUT": "soon", "JWT_SECRET": "short", "PLAIN_URL": "ftp://x"},
        ["READ_TIMEOUT", "JWT_SECRET", "PLAIN_URL"],
    ),
    "unix socket": ({"BIND": "unix:gateway.sock"}, ["BIND is a unix socket"]),
    "limits": ({"RATE_LIMIT_DEFAULT": "10/fortnight"}, ["RATE_LIMIT_DEFAULT"]),
}


@pytest.mark.parametrize(("settings", "named"), WRONG.values(), ids=WRONG.keys())
def test_all_faults_are_listed_at_once(settings: dict[str, str], named: list[str]) -> None:
    outcome = run_gunicorn(**settings)
    assert refused(outcome)
    assert len(outcome.faults) == len(named)
    for name in named:
        assert sum(name in fault for fault in outcome.faults) == 1


def test_every_missing_address_is_listed() -> None:
    outcome = run_gunicorn("app:app")
    assert refused(outcome)
    missing = {fault.split()[1] for fault in outcome.faults if " is not set" in fault}
    assert {"USERS_URL", "ORDERS_URL", "PRODUCTS_URL"} <= missing


def test_error_in_code_is_shown_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("app = 1 / 0\n")
    outcome = run_gunicorn("broken:app", "--chdir", str(tmp_path), PYTHONPATH=str(ROOT))
    assert outcome.code != 0
    assert f'File "{tmp_path / "broken.py"}", line 1' in outcome.stderr
    assert outcome.stderr.count("ZeroDivisionError") == 1
    assert "Booting worker" not in outcome.stderr


def test_settings_reach_gunicorn() -> None:
    settings = {
        "WEB_CONCURRENCY": "3",
        "PORT": "18001",
        "KEEPALIVE_SECONDS": "7",
        "GRACEFUL_TIMEOUT": "8",
        "MAX_REQUESTS": "900",
        "MAX_REQUESTS_JITTER": "90",
    }
    shown = printed(run_gunicorn(APP, "--print-config", **settings))
    assert shown["workers"] == "3"
    assert shown["bind"] == "['0.0.0.0:18001']"
    assert shown["keepalive"] == "7"
    assert shown["graceful_timeout"] == "8"
    assert (shown["max_requests"], shown["max_requests_jitter"]) == ("900", "90")


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        ({}, "gateway.gevent_worker.GeventWorker"),
        ({"WORKER_CLASS": "gevent"}, "gateway.gevent_worker.GeventWorker"),
        ({"WORKER_CLASS": "gthread"}, "gateway.workers.ThreadWorker"),
    ],
)
def test_worker_class(chosen: dict[str, str], used: str) -> None:
    assert printed(run_gunicorn(APP, "--print-config", **chosen))["worker_class"] == used


def test_procfile_is_what_the_tests_run() -> None:
    assert (ROOT / "Procfile").read_text().splitlines() == [
        "web: gunicorn -c python:gateway.server app:app",
        "release: flask --app app gateway db upgrade",
    ]


def printed(outcome: Outcome) -> dict[str, str]:
    """The settings gunicorn shows."""
    assert outcome.code == 0, outcome.stderr
    return dict(re.findall(r"^(\w+) += (.*)$", outcome.stdout, re.MULTILINE))


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_workers_as_wanted(start: Start, workers: int) -> None:
    with start(workers=workers) as gateway:
        assert wait_for(lambda: len(gateway.worker_pids()) == workers)


def test_unix_socket(worker_class: str, upstream: ScriptedUpstream) -> None:
    env = {"PLAIN_URL": upstream.url, "TRUSTED_PROXIES": "unix"}
    with start_gateway(
        "tests.workers.app:app", worker_class=worker_class, env=env, unix=True
    ) as gateway:
        client = b"X-Forwarded-For: 192.0.2.7"
        assert exchange(gateway.address, request(b"/plain/x", client)).status == 200
        assert wait_for(gateway.stdout_lines)
        assert gateway.stdout_lines()[0]["client"] == "192.0.2.7"
    assert not Path(str(gateway.address)).exists()

"""The units of systemd: what they say fits the gateway, and a restart loses nothing.

systemd itself is played by the test: it keeps the listening socket and hands it over as fd 3.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway.testing import ScriptedUpstream, Send, Wait
from settings import Settings
from tests.support.gunicorn import ROOT, SECRET, wait_for
from tests.support.messages import response
from tests.workers.load import Load, load

DEPLOY = ROOT / "deploy"
# What systemd does between fork and exec.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


def unit(name: str) -> configparser.ConfigParser:
    """A unit file; each option once in ours."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as documented
    parser.read_string((DEPLOY / name).read_text())
    return parser


def test_service_runs_what_the_procfile_runs() -> None:
    web = (ROOT / "Procfile").read_text().splitlines()[0]
    command = web.partition(": ")[2]
    assert unit("gatehouse.service")["Service"]["ExecStart"].endswith(f"/bin/{command}")


def test_service_gives_a_stop_its_time() -> None:
    service = unit("gatehouse.service")["Service"]
    usual = Settings.model_fields
    needed = usual["DRAIN_SECONDS"].default + usual["GRACEFUL_TIMEOUT"].default
    assert int(service["TimeoutStopSec"]) > needed
    assert service["KillMode"] == "mixed"


def test_one_socket_in_all_files() -> None:
    path = unit("gatehouse.socket")["Socket"]["ListenStream"]
    bind, trust = unit("gatehouse.service")["Service"]["Environment"].split()
    assert (bind, trust) == (f"BIND=unix:{path}", "TRUSTED_PROXIES=unix")
    assert f"s#__SOCKET__#{path}#g" in (DEPLOY / "nginx.sed").read_text()


def test_example_environment_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (DEPLOY / "gatehouse.env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert values["STATE_URL"] == settings.STATE_URL
    assert {n for n in values if not n.endswith("_URL")} <= set(Settings.model_fields)


@contextlib.contextmanager
def activated(
    listener: socket.socket, upstream: ScriptedUpstream, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway as the service starts it, ended with the block."""
    env = {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        "JWT_SECRET": SECRET,
        "PLAIN_URL": upstream.url,
        "RATE_LIMIT_DEFAULT": "",
        "STATE_URL": f"lmdb://{folder / 'state'}",
        "BIND": f"unix:{listener.getsockname()}",
        "TRUSTED_PROXIES": "unix",
        "DRAIN_SECONDS": "0.5",
    }
    command = [sys.executable, "-c", HAND_OVER, str(listener.fileno())]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "gunicorn", "-c", "python:gateway.server", "tests.workers.app:app"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            process_group=0,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def busy_since(clients: Load, moment: float) -> bool:
    """Whether the clients have got many answers since."""
    return clients.answered_since(moment) > 100


def test_restart_under_load_refuses_and_loses_nothing(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.script([Wait(0.02), Send(response(b"200 OK", body=b"ok"))])
    path = str(tmp_path / "gateway.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(2048)
        with load(path) as clients:
            for _ in range(2):
                with activated(listener, upstream, tmp_path) as process:
                    started = time.monotonic()
                    served = wait_for(partial(busy_since, clients, started), 30)
                    assert served, (tmp_path / "log").read_text()
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(20) == 0
            with activated(listener, upstream, tmp_path):
                clients.finish()
        assert (clients.lost, clients.refused) == ([], 0)

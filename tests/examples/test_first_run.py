"""The pieces of the first run that need no gateway: port, secret, processes, the text."""

import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import tokens
from examples.processes import Failure, Process, Processes, Stop
from examples.starting import SERVICES, free_port, start_backends
from examples.tokens import TokenError, has_own_keys, keep_secret, kept_secret, make_token
from examples.welcome import welcome


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    made.end()


def start(processes: Processes, code: str, patience: float = 5.0) -> Process:
    command = [sys.executable, "-c", code]
    return processes.start(
        "it", command, environment=os.environ, folder=Path.cwd(), patience=patience, pipes=True
    )


def test_a_free_port_is_given_and_a_taken_one_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port} is in use"):
            free_port({"PORT": str(port)})
    assert free_port({"PORT": str(port)}) == port


@pytest.mark.parametrize("text", ["0", "-1", "65536", "http", "9" * 5000, "²"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="PORT must be"):
        free_port({"PORT": text})


def test_bind_is_refused_since_nothing_would_listen_on_port() -> None:
    with pytest.raises(Failure, match="unset BIND"):
        free_port({"BIND": "unix:/tmp/gateway.sock"})


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "run" / "jwt-secret"
    assert kept_secret(file) is None
    secret = keep_secret(file)
    assert len(secret) == 64
    assert keep_secret(file) == kept_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_secret_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "jwt-secret"
    file.write_text("kept\n")
    file.chmod(0o644)
    assert keep_secret(file) == "kept"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("environment", "own"),
    [
        ({}, False),
        ({"JWT_SECRET": ""}, False),
        ({"JWT_SECRET": "x"}, True),
        ({"JWT_KEYS": "x"}, True),
    ],
)
def test_keys_of_ones_own_come_first(environment: dict[str, str], own: bool) -> None:
    assert has_own_keys(environment) is own


def test_without_a_secret_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JWT_SECRET", raising=False)
    monkeypatch.delenv("JWT_KEYS", raising=False)
    monkeypatch.setattr(tokens, "kept_secret", lambda: None)
    monkeypatch.setattr(sys, "argv", ["tokens", "reader"])
    assert tokens.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "make run" in captured.err


def test_a_command_line_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 2, stdout="", stderr="no such role\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(TokenError, match="no such role"):
        make_token("nobody", {})


def test_a_process_that_ends_by_itself_is_named(processes: Processes) -> None:
    start(processes, "raise SystemExit(3)").handle.wait(5)
    with pytest.raises(Failure, match=r"it ended unexpectedly \(exit status 3\)"):
        processes.check()


def test_a_wish_to_stop_comes_before_everything(processes: Processes) -> None:
    start(processes, "raise SystemExit(3)").handle.wait(5)
    processes.asked.append(signal.SIGTERM)
    with pytest.raises(Stop):
        processes.wait(5)


def test_processes_end_newest_first(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("older", "newer"):
        code = (
            "import signal, sys, time\n"
            f"def end(*_): open({str(log)!r}, 'a').write({name!r} + ' '); sys.exit()\n"
            "signal.signal(signal.SIGTERM, end); print(1, flush=True); time.sleep(60)"
        )
        assert next(iter(start(processes, code).handle.stdout or [])) == b"1\n"
    processes.end()
    assert log.read_text() == "newer older "


def test_one_that_will_not_end_is_killed_with_its_children(processes: Processes) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True);"
    )
    child = f"subprocess.Popen([sys.executable, '-c', {stubborn + 'time.sleep(60)'!r}]);"
    process = start(processes, stubborn + child + "time.sleep(60)", patience=0.2)
    assert process.handle.stdout is not None
    assert [process.handle.stdout.readline() for _ in range(2)] == [b"1\n", b"1\n"]
    pipe = os.dup(process.handle.stdout.fileno())
    processes.end()
    assert process.handle.returncode == -signal.SIGKILL
    # Both write into this pipe, so its end is the end of both.
    assert select.select([pipe], [], [], 5)[0] == [pipe]
    assert os.read(pipe, 1) == b""
    os.close(pipe)


def test_given_addresses_replace_examples(processes: Processes) -> None:
    given = {f"{name.upper()}_URL": "http://secret@h:1" for name in SERVICES if name != "orders"}
    added, places = start_backends(processes, {**os.environ, **given, "ORDERS_URL": ""})
    assert list(added) == ["ORDERS_URL"]
    assert added["ORDERS_URL"].startswith("http://127.0.0.1:")
    assert [process.name for process in processes.started] == ["the orders backend"]
    assert list(places) == list(SERVICES)
    assert places["users"] == "as USERS_URL says"


def test_the_text_has_only_commands_that_can_work() -> None:
    assert "Authorization" not in welcome("http://h", {"users": "x"}, {})
    text = welcome("http://h", {"users": "x"}, {"reader": "r", "writer": "w", "admin": "a"})
    assert "\nBASE=http://h\nREADER=r\nWRITER=w\nADMIN=a\n" in text

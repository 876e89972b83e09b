"""Filters of a running gateway of two workers: switched by a command, seen by both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo

from gateway.cli import group
from gateway.state import EmbeddedState
from tests.cli.support import Done
from tests.filters.app import make
from tests.support.gunicorn import SECRET, Gateway, start_gateway
from tests.workers.pinned import Client, pinned, soon

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the running gateway."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def running(state: Path) -> Iterator[Gateway]:
    """Two workers, started with one filter off."""
    env = {"STATE_URL": f"lmdb://{state}", "FILTERS_OFF": "apology"}
    with start_gateway("tests.filters.app:make()", workers=2, env=env) as gateway:
        yield gateway
        assert "Traceback" not in gateway.stderr_text()


@pytest.fixture
def two(running: Gateway) -> Iterator[list[Client]]:
    """A client of each worker."""
    with pinned(running, 2, workers=2) as clients:
        yield clients


@pytest.fixture
def run(state: Path) -> Run:
    """`flask gateway` with these words, for that gateway."""

    def ran(*words: str, url: str = f"lmdb://{state}", **environ: str) -> Done:
        told = {"JWT_SECRET": SECRET, "STATE_URL": url, "FILTERS_OFF": "apology", **environ}
        done = CliRunner().invoke(group, words, env=told, obj=ScriptInfo(create_app=make))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return ran


def test_every_phase_at_work(two: list[Client]) -> None:
    reply = two[0].get(b"/things/7?closed=1")
    assert (reply.status, reply.body, reply.header(b"X-Stamp")) == (503, b"closed", [b"1"])
    assert two[0].get(b"/things/7?own=1").body == b"own"
    assert b"destination_unavailable" in two[0].get(b"/things/7").body  # apology is off


def test_what_is_switched_is_seen_by_both_workers_and_the_command(
    two: list[Client], run: Run
) -> None:
    assert run("filters").out.splitlines() == [
        "phase  order  name        where    state",
        "pre    0      closed      gateway  on",
        "route  0      own_answer  gateway  on",
        "post   0      stamped     gateway  on",
        "error  0      apology     gateway  off",
    ]
    listed = json.loads(run("filters", "--json").out)["filters"]
    assert [(one["name"], one["on"]) for one in listed] == [
        ("closed", True),
        ("own_answer", True),
        ("stamped", True),
        ("apology", False),
    ]
    assert run("filters", "--json", "off", "closed").code == 2
    for words, said in (
        (("off", "closed"), "closed is off\n"),
        (("off", "own_answer"), "own_answer is off\n"),
        (("on", "apology"), "apology is on\n"),
    ):
        done = run("filters", *words)
        assert (done.code, done.out, done.err) == (0, said, "")
    for client in two:
        # Neither of both is passed over any more, and a failure is told otherwise.
        assert soon(client, b"/things/7?closed=1&own=1", lambda body: body == b"sorry")
    table = run("filters").out
    assert "closed      gateway  off, switched\n" in table
    assert "apology     gateway  on, switched\n" in table
    for words in (("on", "closed"), ("on", "own_answer"), ("off", "apology")):
        assert run("filters", *words).code == 0
    for client in two:
        assert soon(client, b"/things/7?closed=1", lambda body: body == b"closed")
    assert "switched" not in run("filters").out


def test_what_the_command_cannot_do(run: Run) -> None:
    assert run("filters", "off", "nothing").faults == ["there is no filter 'nothing'"]
    alone = {"url": "memory://", "WEB_CONCURRENCY": "1"}
    (fault,) = run("filters", "off", "closed", **alone).faults
    assert fault.startswith("STATE_URL=memory://: each worker keeps what it knows to itself")
    done = run("filters", **alone)
    assert (done.code, done.out.count("\n")) == (0, 5)
    assert done.err == "note: STATE_URL=memory://: what the settings say, not the workers\n"
    assert len(run("filters", WORKER_CLASS="none").faults) == 1


def test_a_store_that_cannot_be_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_asked: object) -> None:
        raise OSError("gone")

    for name in ("get", "change"):
        monkeypatch.setattr(EmbeddedState, name, gone)
    for words in ((), ("off", "closed"), ("on", "apology")):
        faults = run("filters", *words).faults
        assert faults == ["the store that the workers share cannot be used"]

"""`flask gateway cache`: what running workers keep, seen and dropped by another process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.cli import ScriptInfo

from gateway import Cache
from gateway.caching.entry import Passed
from gateway.caching.opening import open_responses
from gateway.cli import group
from tests.cli.support import Folder
from tests.support.wsgi import make_app, make_settings, open_service


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A store with three answers, of which two are of one path."""
    url = f"lmdb://{tmp_path / 'state'}"
    responses = open_responses(make_settings(STATE_URL=url), {})
    for number, kept in enumerate(["/things/1", "/things/1?a=1&b=2", "/users"]):
        key, ticket = bytes([number]) * 16, responses.ticket(kept)
        assert responses.put(key, Passed(9e9), url=kept, tags=[f"t{number}"], ticket=ticket)
    return url


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker, so that no store is a fault."""
    monkeypatch.setenv("WEB_CONCURRENCY", "1")


def command(*words: str, **environ: str) -> Result:
    """`flask gateway cache` in this process."""
    things, _ = open_service(policies=[Cache(sort_query=True)])
    info = ScriptInfo(create_app=lambda: make_app(things))
    return CliRunner().invoke(group, ["cache", *words], obj=info, env=environ)


def entries(state: str) -> int:
    """How many there are."""
    done = command("show", "--json", STATE_URL=state)
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert list(told) == ["entries", "bytes"]
    assert told["bytes"] or not told["entries"]
    return int(told["entries"])


def test_what_is_named_is_dropped(state: str) -> None:
    assert entries(state) == 3
    assert command("show", STATE_URL=state).stdout.startswith("3 entries, ")
    for words, purged in (
        (("--url", "https://api.example/things/%31?b=2&a=1"), 1),
        (("--path", "/things/1"), 1),
        (("--tag", "t0"), 0),
        (("--prefix", "/u"), 1),
        (("--all",), 0),
    ):
        done = command("purge", *words, STATE_URL=state)
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"purged {purged}\n", "")
    assert entries(state) == 0


@pytest.mark.parametrize("words", [("show",), ("purge", "--all")])
def test_a_store_that_nobody_has_is_noticed(words: tuple[str, ...], tmp_path: Path) -> None:
    """The command may have another STATE_URL than the gateway."""
    other = f"lmdb://{tmp_path / 'mistyped'}"
    done = command(*words, STATE_URL=other)
    assert done.exit_code == 0
    assert "no answers were ever kept where STATE_URL says" in done.stderr
    assert command(*words, STATE_URL=other).stderr == ""


def test_everything_is_dropped_by_another_process(state: str, shared: Folder) -> None:
    # No more than where the store is.
    done = shared.run("cache", "purge", "--all", STATE_URL=state)
    assert (done.code, done.out, done.err) == (0, "purged 3\n", "")
    assert entries(state) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "Give one of --url, --path, --prefix, --tag and --all."),
        (("--all", "--tag", "t"), "Give one of"),
        (("--url", "/a", "--path", "/a"), "Give one of"),
        (("--url", ""), "Invalid value for --url: url must not be empty."),
        (("--path", "/a?b"), "Invalid value for --path: path must have no query"),
        (("--prefix", "api"), "Invalid value for --prefix: prefix must be a URL, or a path"),
        (("--tag", "a b"), "Invalid value for --tag: tag must be one word"),
        (("--host", "a"), "No such option"),
    ],
)
def test_words_that_name_nothing(words: tuple[str, ...], reason: str) -> None:
    done = command("purge", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert reason in done.stderr


@pytest.mark.parametrize("words", [("show",), ("purge", "--all")])
def test_stores_that_cannot_be_reached(words: tuple[str, ...]) -> None:
    done = command(*words, REDIS_URL="redis://127.0.0.1:1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "- the store of kept answers cannot be used: redis: ConnectionError\n"
    done = command(*words, STATE_URL="memory://")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "- STATE_URL=memory://: each worker keeps answers to itself: there is nothing to reach"
        " from here\n"
    )


def test_faults_are_told(shared: Folder) -> None:
    (fault,) = shared.run("cache", "show", STATE_URL="sqlite://").faults
    assert fault.startswith("STATE_URL")
    # How a query is kept, the policies say: that takes the whole gateway.
    assert shared.run("cache", "purge", "--url", "/things?a=1").faults[0].startswith("JWT_SECRET")

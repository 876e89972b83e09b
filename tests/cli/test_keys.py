"""`flask gateway keys` and `db`: what an operator does, and what is said when it cannot be done."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.authentication.api_keys.key import id_of
from gateway.database.engine import Database
from gateway.database.usage import UsageLedger
from tests.cli.support import Done, Folder
from tests.database.test_schema import set_version


class Desk:
    """An operator with a database."""

    def __init__(self, run: Callable[..., Done], url: str) -> None:
        self._run = run
        self.url = url

    def run(self, *words: str, **environ: str) -> Done:
        """`flask gateway` with these words. No other setting is needed."""
        return self._run(*words, **{"DATABASE_URL": self.url, **environ})

    def good(self, *words: str, **environ: str) -> str:
        """What it prints, for a command that works."""
        done = self.run(*words, **environ)
        assert done.code == 0, done.err
        return done.out

    def make(self, *words: str) -> str:
        """A new key."""
        made = self.good("keys", "create", "--name", "n", "--owner", "ada", *words)
        assert made.count("\n") == 1
        return made.strip()

    def fault(self, *words: str, **environ: str) -> str:
        """The only fault, of a command that does not work."""
        (fault,) = self.run(*words, **environ).faults
        return fault


@pytest.fixture
def desk(shared: Folder, database_url: str) -> Desk:
    """An operator with a database of each kind."""
    sqlite = database_url.startswith("sqlite")
    return Desk(shared.here if sqlite else shared.run, database_url)


@pytest.fixture
def small(shared: Folder, tmp_path: Path) -> Desk:
    """An operator with an empty folder for a database."""
    return Desk(shared.here, f"sqlite:///{tmp_path / 'records.db'}")


@pytest.fixture
def apart(shared: Folder, tmp_path: Path) -> Desk:
    """The same, whose commands are processes as in real life."""
    return Desk(shared.run, f"sqlite:///{tmp_path / 'records.db'}")


def test_a_keys_life(desk: Desk) -> None:
    key = desk.make("--scope", "order:read", "--scope", "user:*", "--role", "partner")
    key_id = id_of(key)
    assert key_id is not None
    (row,) = json.loads(desk.good("keys", "list", "--json"))
    assert (row["id"], row["owner"], row["state"]) == (key_id, "ada", "active")
    assert (row["scopes"], row["roles"]) == (["order:read", "user:*"], ["partner"])
    assert (row["today"], row["total"], row["used"], row["expires"]) == (0, 0, None, None)
    later = desk.good("keys", "rotate", key_id, "--overlap", "1h").strip()
    assert id_of(later) == key_id
    assert later != key
    row = json.loads(desk.good("keys", "show", f"gh_{key_id}", "--json"))
    assert abs(row["previous_until"] - time.time() - 3600) < 120
    assert desk.good("keys", "suspend", key_id) == f"{key_id} is suspended\n"
    assert "suspended" in desk.good("keys", "list")
    assert desk.good("keys", "resume", key_id) == f"{key_id} is active\n"
    assert desk.good("keys", "revoke", key_id) == f"{key_id} is revoked\n"
    assert desk.good("keys", "revoke", key_id) == f"{key_id} is revoked\n"
    assert "revoked" in desk.good("keys", "list")
    assert desk.fault("keys", "rotate", key_id) == f"the key {key_id} was revoked: make a new one"
    said = desk.good("keys", "list") + desk.good("keys", "show", key_id)
    assert key[16:] not in said
    assert later[16:] not in said


def test_all_that_can_be_said_of_a_key(small: Desk) -> None:
    small.good("db", "upgrade")
    words = ["--plan", "gold", "--expires", "90d", "--overrides", '{"rate": "5/second"}', "--json"]
    plans = '{"gold": {"rate": "9/second"}}'
    done = small.run("keys", "create", "--name", "n", "--owner", "Ada & Söhne", *words, PLANS=plans)
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert id_of(made["key"]) == made["id"]
    row = json.loads(small.good("keys", "show", made["id"], "--json"))
    assert (row["owner"], row["plan"]) == ("Ada & Söhne", "gold")
    assert row["overrides"] == {"rate": "5/second"}  # what is not said is the plan's
    assert abs(row["expires"] - time.time() - 90 * 86_400) < 120
    text = small.good("keys", "show", made["id"])
    assert re.search(r"^expires +20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ$", text, re.MULTILINE)
    assert re.search(r"^revoked +-$", text, re.MULTILINE)


def test_a_table_for_people(small: Desk) -> None:
    small.good("db", "upgrade")
    key_id = id_of(small.make())
    database = Database(small.url)
    ledger = UsageLedger(database)
    ledger.add(f"key:{key_id}", "", 1234)
    ledger.flush()
    database.close()
    head, row = small.good("keys", "list").splitlines()
    assert head.split("  ")[0] == "key"
    assert list(re.split(r" {2,}", head)) == [
        "key", "owner", "name", "plan", "state", "expires", "last used", "today", "total",
    ]  # fmt: skip
    cells = re.split(r" {2,}", row)
    assert cells[:6] == [f"gh_{key_id}", "ada", "n", "-", "active", "-"]
    assert cells[7:] == ["0", "1234"]
    assert small.good("keys", "list", "--owner", "bob").splitlines() == [
        "key  owner  name  plan  state  expires  last used  today  total"
    ]


def test_a_plan_that_there_is_not_is_noted(small: Desk) -> None:
    small.good("db", "upgrade")
    done = small.run("keys", "create", "--name", "n", "--owner", "o", "--plan", "gold")
    assert done.code == 0
    assert done.err.startswith("note: PLANS has no plan 'gold' here")


@pytest.mark.parametrize(
    "words",
    [
        ["--expires", "2020-01-01"],
        ["--expires", "0"],
        ["--expires", "90000d"],
        ["--expires", "soon"],
        ["--scope", "two words"],
        ["--scope", "one,two"],
        ["--scope", ""],
        ["--role", 'a"b'],
        ["--overrides", "{"],
        ["--overrides", "[]"],
        ["--overrides", '{"rate": "often"}'],
        ["--overrides", '{"speed": 5}'],
        ["--owner", ""],
        ["--owner", "two\nlines"],
        ["--owner", "o" * 201],
        ["key-without-option"],
    ],
)
def test_words_that_mean_nothing(small: Desk, words: list[str]) -> None:
    done = small.run("keys", "create", "--name", "n", "--owner", "o", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")


@pytest.mark.parametrize("name", ["", "0", "gh_0123", "0" * 13, "../etc"])
def test_an_id_that_is_none(small: Desk, name: str) -> None:
    assert small.run("keys", "show", name).code == 2


def test_a_whole_key_is_no_id_and_is_not_repeated(small: Desk) -> None:
    small.good("db", "upgrade")
    key = small.make()
    done = small.run("keys", "revoke", key)
    assert done.code == 2
    assert key[16:] not in done.out + done.err


def test_a_key_that_there_is_not(small: Desk) -> None:
    small.good("db", "upgrade")
    for command in ("show", "rotate", "revoke", "suspend", "resume"):
        assert small.fault("keys", command, "0" * 12) == "there is no key 000000000000"


def test_the_tables(apart: Desk) -> None:
    done = apart.run("db", "current")
    assert (done.code, done.out) == (1, "")
    assert "is not there: run `flask gateway db upgrade`" in done.err
    assert "run `flask gateway db upgrade`" in apart.fault("keys", "list")
    assert apart.good("db", "upgrade") == "The tables went from none to 0002.\n"
    assert apart.good("db", "upgrade") == "The tables are as they should be (0002).\n"
    assert apart.good("db", "current") == "found 0002, needed 0002\n"
    set_version(apart.url, "9999")
    done = apart.run("db", "current")
    assert (done.code, done.out) == (1, "found 9999, needed 0002\n")
    for words in (["db", "upgrade"], ["keys", "list"]):
        assert (
            apart.fault(*words) == "DATABASE_URL: its tables are newer (9999) than this code (0002)"
        )


def test_the_release_command_of_the_procfile(apart: Desk) -> None:
    root = Path(__file__).resolve().parents[2]
    lines = dict(line.split(": ", 1) for line in (root / "Procfile").read_text().splitlines())
    flask, *options, gateway, group, command = lines["release"].split()
    assert (flask, options, gateway) == ("flask", ["--app", "app"], "gateway")
    assert apart.good(group, command, FLASK_APP="app").startswith("The tables went from none")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:secret@h/n", "it must begin with"),
        ("postgres://u:secret@127.0.0.1:1/n", "Connection refused"),
        ("sqlite:////nowhere/at/all.db", ""),
    ],
)
def test_a_database_that_cannot_be_had(small: Desk, url: str, words: str) -> None:
    commands: list[Any] = [["db", "upgrade"], ["db", "current"], ["keys", "list"]]
    for command in commands:
        fault = small.fault(*command, DATABASE_URL=url)
        assert fault.startswith("DATABASE_URL: ")
        assert words in fault
        assert "secret" not in fault


def test_wrong_settings(small: Desk) -> None:
    assert small.fault("keys", "list", PORT="x").startswith("PORT: ")

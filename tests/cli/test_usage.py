"""What an identity has used of its quota, as a command tells it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.authentication.api_keys.keeping import KeyKeeper, NewKey
from gateway.cli import group
from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.database.usage import UsageLedger
from gateway.rate_limiting.quotas import Kind, ledger_name, period_of

PLANS = {"free": {"quota": "1000/day"}, "pro": {"quota": "50/day;9000/month"}, "open": {}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database in which ada has used something."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    database = Database(url)
    ledger = UsageLedger(database)
    ledger.add(ledger_name("user:ada"), period_of("day", time.time()).name, 41)
    ledger.add(ledger_name("user:ada"), period_of("month", time.time()).name, 812)
    ledger.flush()
    database.close()
    return url


def run(url: str, *words: str, default: str = "") -> Result:
    """`flask gateway usage` with these words."""
    env = {"DATABASE_URL": url, "PLANS": json.dumps(PLANS), "DEFAULT_PLAN": default}
    return CliRunner().invoke(group, ["usage", *words], env=env)


def numbers(result: Result) -> list[str]:
    """What follows the day and the month."""
    assert result.exit_code == 0, result.output
    day, month = result.output.splitlines()
    now = time.time()
    assert day.startswith(period_of("day", now).name + " ")
    assert month.startswith(period_of("month", now).name + " ")
    return [line.partition(" ")[2].strip() for line in (day, month)]


def test_what_was_used(url: str) -> None:
    assert numbers(run(url, "user:ada")) == ["41", "812"]
    assert numbers(run(url, "user:bob")) == ["0", "0"]


def test_beside_what_a_plan_permits(url: str) -> None:
    assert numbers(run(url, "user:ada", default="free")) == ["41 of 1000", "812"]
    assert numbers(run(url, "user:ada", "--plan", "pro")) == ["41 of 50", "812 of 9000"]
    assert numbers(run(url, "user:ada", "--plan", "open", default="free")) == ["41", "812"]


@pytest.mark.parametrize(
    ("said", "default", "told"),
    [
        ({}, "", ["9", "9"]),
        ({}, "free", ["9 of 1000", "9"]),
        ({"plan": "pro"}, "free", ["9 of 50", "9 of 9000"]),
        ({"plan": "pro", "overrides": {"quota": "7/day"}}, "", ["9 of 7", "9"]),
        ({"overrides": {"quota": "70/month"}}, "", ["9", "9 of 70"]),
        ({"plan": "pro", "overrides": {"rate": "1/second"}}, "", ["9 of 50", "9 of 9000"]),
    ],
)
def test_a_key_has_the_plan_and_limits_that_the_database_knows(
    url: str, said: dict[str, Any], default: str, told: list[str]
) -> None:
    database = Database(url)
    key_id, _ = KeyKeeper(database).create(NewKey("n", "ada", **said))
    ledger = UsageLedger(database)
    kinds: tuple[Kind, ...] = ("day", "month")
    for kind in kinds:
        ledger.add(ledger_name(f"key:{key_id}"), period_of(kind, time.time()).name, 9)
    ledger.flush()
    database.close()
    assert numbers(run(url, f"key:{key_id}", default=default)) == told
    assert numbers(run(url, f"key:gh_{key_id}", default=default)) == told
    assert numbers(run(url, f"key:{key_id}", "--plan", "free")) == ["9 of 1000", "9"]


def test_a_key_that_there_is_not_has_the_usual_plan(url: str) -> None:
    result = run(url, "key:aaaaaaaaaaaa", default="free")
    assert result.exit_code == 0
    assert result.stderr == "note: there is no key aaaaaaaaaaaa\n"
    assert "0 of 1000" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["key:gh_aaaaaaaaaaaa_secret"], "must be the id of a key, such as gh_4m8q2x7n5k0w"),
        (["ada"], "must be KIND:SUBJECT, such as user:ada"),
        (["user:ada", "--plan", "gold"], "- there is no plan 'gold' in PLANS"),
    ],
)
def test_what_cannot_be_told(url: str, words: list[str], told: str) -> None:
    result = run(url, *words)
    assert result.exit_code != 0
    assert told in result.output
    assert "secret" not in result.output


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    result = run(f"sqlite:///{tmp_path / 'missing.db'}", "user:ada")
    assert result.exit_code == 1
    assert result.output.startswith("- DATABASE_URL: ")

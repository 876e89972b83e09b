"""`flask gateway webhooks`: what an operator sees of deliveries, and sends again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.webhooks.event import Event
from gateway.webhooks.queue import Verdict, WebhookQueue
from gateway.webhooks.signing import key_of
from tests.cli.support import Done, Folder
from tests.webhooks.receiver import OTHER, SECRET, webhooks

WEBHOOKS = json.dumps(
    webhooks(
        ("acme", "https://acme.example/hunter2?token=hunter2"),
        ("beta", "https://beta.example"),
        events=["order.*", "user.made"],
        secret=[OTHER, SECRET],
    )
)
Run = Callable[..., Done]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database in which acme has one delivery of each state, and a partner that left has one."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    database = Database(url)
    queue = WebhookQueue(database, wall=lambda: 1_790_000_000)
    for identifier in ("e1", "e2", "e3"):
        queue.add(Event(identifier, "order.shipped", '{"name":"hunter2"}'), ["acme"])
    queue.add(Event("e4", "user.made", "{}"), ["left"])
    first, second = queue.claim({"acme": 2}, 60)
    queue.settle([Verdict(first, "delivered", status=204)])
    queue.settle([Verdict(second, "failed", 0, 500, "it answers 500")])
    database.close()
    return url


@pytest.fixture
def run(shared: Folder, url: str) -> Run:
    """`flask gateway webhooks` with two partners."""

    def words(*given: str, **environ: str) -> Done:
        settings = {"DATABASE_URL": url, "WEBHOOKS": WEBHOOKS, **environ}
        return shared.here("webhooks", *given, **settings)

    return words


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    """The deliveries as programs read them."""
    found: list[dict[str, Any]] = json.loads(run("deliveries", "--json", *words).out)
    return found


def test_partners_without_anything_secret(run: Run) -> None:
    done = run("list")
    assert done.code == 0
    assert done.out.splitlines() == [
        "partner  where                 events             secrets  pending  delivered  failed",
        "acme     https://acme.example  order.* user.made  2        1        1          1",
        "beta     https://beta.example  order.* user.made  2        0        0          0",
        "left     -                                        0        1        0          0",
    ]
    told = json.loads(run("list", "--json").out)
    assert [one["partner"] for one in told] == ["acme", "beta", "left"]
    assert told[0]["events"] == ["order.*", "user.made"]
    said = done.out + str(told)
    assert not any(secret in said for secret in ("hunter2", SECRET, OTHER))


def test_without_partners(run: Run, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    upgrade(empty)
    assert run("list", WEBHOOKS="", DATABASE_URL=empty).out == "no partner in WEBHOOKS\n"
    assert run("deliveries", DATABASE_URL=empty).out == "no deliveries\n"


def test_deliveries(run: Run) -> None:
    done = run("deliveries", "--partner", "acme")
    header, *lines = done.out.splitlines()
    words = ("id", "partner", "type", "event", "state", "tries", "next try", "changed", "why")
    assert [header.index(word) for word in words] == sorted(header.index(word) for word in words)
    assert len(lines) == 3
    (failed,) = (line for line in lines if " failed " in line)
    assert failed.endswith("-                     2026-09-21 14:13:20Z  it answers 500")
    assert "hunter2" not in done.out
    assert [row["state"] for row in listed(run, "--state", "delivered")] == ["delivered"]
    assert len(listed(run, "--most", "2")) == 2


def test_sending_again(run: Run) -> None:
    (failed,) = listed(run, "--state", "failed")
    done = run("retry", failed["id"])
    assert (done.code, done.out) == (0, f"{failed['id']} is sent again\n")
    assert listed(run, "--state", "failed") == []
    assert run("retry", "--failed", "acme").out == "0 are sent again\n"
    (delivered,) = listed(run, "--state", "delivered")
    done = run("retry", delivered["id"], "unknown")
    assert (done.code, done.err) == (1, "- there is no delivery unknown\n")
    assert done.out == f"{delivered['id']} is sent again\n"
    assert {row["tries"] for row in listed(run, "--partner", "acme")} == {0}


@pytest.mark.parametrize("words", [(), ("e1", "--failed", "acme")])
def test_sending_again_needs_one_of_both(run: Run, words: tuple[str, ...]) -> None:
    assert run("retry", *words).code == 2


def test_a_new_secret(run: Run) -> None:
    done = run("secret")
    assert len(key_of(done.out.strip())) == 32
    assert run("secret").out != done.out


def test_faults(run: Run, tmp_path: Path) -> None:
    (fault,) = run("list", WEBHOOKS=WEBHOOKS.replace("https://acme", "http://acme")).faults
    assert fault.startswith("WEBHOOKS.acme.url must be https")
    (fault,) = run("deliveries", DATABASE_URL=f"sqlite:///{tmp_path / 'none.db'}").faults
    assert "run `flask gateway db upgrade`" in fault

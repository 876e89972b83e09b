"""`flask gateway webhooks ...`: who is told of events, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import orjson

from gateway.cli.database import database_url, failing_plainly
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.webhooks.queue import WebhookQueue
    from gateway.webhooks.subscriptions import Subscription

_STATES = ("pending", "delivered", "failed")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: on one line.")


@click.group("webhooks")
def webhooks_group() -> None:
    """Events on their way to partners. Who they are is said by WEBHOOKS."""


@webhooks_group.command("list")
@AS_JSON
@failing_plainly
def list_partners(as_json: bool) -> None:
    """Every partner with how many deliveries there are; no secret, and of its URL the host.

    One that has deliveries and is not in WEBHOOKS any more has no host: nothing is sent to it.
    """
    from gateway.webhooks.subscriptions import read_subscriptions

    subscriptions, faults = read_subscriptions(load_settings())
    if faults:
        raise ConfigurationError(faults)
    counts = _queue().counts()
    gone = sorted({name for name, _ in counts} - subscriptions.keys())
    rows = [_partner(name, subscriptions.get(name), counts) for name in (*subscriptions, *gone)]
    if as_json:
        click.echo(orjson.dumps(rows).decode())
        return
    _table([{**row, "events": " ".join(row["events"])} for row in rows], "no partner in WEBHOOKS")


@webhooks_group.command()
@click.option("--partner", default=None, help="Only those to this partner.")
@click.option("--state", type=click.Choice(_STATES), default=None, help="Only those.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many."
)
@AS_JSON
@failing_plainly
def deliveries(partner: str | None, state: str | None, most: int, as_json: bool) -> None:
    """Deliveries, what happened last first; nothing of what they hold."""
    rows = _queue().listed(partner, state, most)
    if as_json:
        click.echo(orjson.dumps(rows).decode())
    else:
        _table([_line(row) for row in rows], "no deliveries")


@webhooks_group.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--failed", "partner", metavar="PARTNER", help="All that failed to this partner.")
@failing_plainly
def retry(ids: tuple[str, ...], partner: str | None) -> None:
    """Send deliveries again, now, with the retries of new ones; also those that arrived."""
    if bool(ids) == (partner is not None):
        raise click.UsageError("Give the ids of deliveries, or --failed and a partner.")
    if partner is not None:
        click.echo(f"{len(_queue().retry_failed(partner))} are sent again")
        return
    found = _queue().retry(ids)
    for one in found:
        click.echo(f"{one} is sent again")
    if missing := sorted(set(ids) - set(found)):
        raise ConfigurationError([f"there is no delivery {one}" for one in missing])


@webhooks_group.command()
def secret() -> None:
    """Make a secret for a partner and print it; it is kept nowhere."""
    from gateway.webhooks.signing import new_secret

    click.echo(new_secret())


def _queue() -> WebhookQueue:
    from gateway.database.engine import Database
    from gateway.webhooks.queue import WebhookQueue

    return WebhookQueue(Database(database_url(), durable=True))


def _partner(
    name: str, one: Subscription | None, counts: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    return {
        "partner": name,
        "where": "-" if one is None else one.where,
        "events": [] if one is None else list(one.events),
        "secrets": 0 if one is None else len(one.keys),
        **{state: counts.get((name, state), 0) for state in _STATES},
    }


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """A delivery for people."""
    shown = {name: row[name] for name in ("id", "partner", "type", "event", "state", "tries")}
    shown["next try"] = _time(row["due"]) if row["state"] == "pending" else "-"
    shown["changed"] = _time(row["updated"])
    shown["why"] = row["reason"] or "-"
    return shown


def _time(moment: int) -> str:
    """A time in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))


def _table(rows: Sequence[dict[str, Any]], nothing: str) -> None:
    if not rows:
        click.echo(nothing)
        return
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())

"""`flask gateway keys ...`: API keys, as the operator keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from gateway.cli.database import database_url, failing_plainly
from gateway.cli.key_options import EXPIRES, ID, OVERRIDES, SECONDS, TEXT, WORD
from gateway.cli.key_table import details, table, with_state
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.authentication.api_keys.keeping import KeyKeeper

T = TypeVar("T")

AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: on one line.")
KEY = click.argument("key_id", metavar="ID", type=ID)


@click.group("keys")
def keys_group() -> None:
    """API keys: make, list, rotate, revoke. ID is what `list` shows, with or without `gh_`."""


@keys_group.command()
@click.option("--name", required=True, type=TEXT, help="What it is for.")
@click.option("--owner", required=True, type=TEXT, help="Whose it is; backends are told.")
@click.option("--scope", "scopes", multiple=True, type=WORD, help="A permission; repeatable.")
@click.option("--role", "roles", multiple=True, type=WORD, help="A role; repeatable.")
@click.option("--plan", default="", help="Its plan of PLANS; default: DEFAULT_PLAN.")
@click.option(
    "--expires", type=EXPIRES, default=None, help="90d, 12h, or a date such as 2027-01-31 (UTC)."
)
@click.option("--overrides", type=OVERRIDES, default="{}", help="Limits of its own, as JSON.")
@AS_JSON
@failing_plainly
def create(as_json: bool, **said: Any) -> None:
    """Make a key and print it: it is not kept, and cannot be shown again."""
    from gateway.authentication.api_keys.keeping import NewKey

    plans = load_settings().PLANS
    if said["plan"] and said["plan"] not in plans:
        known = ", ".join(sorted(plans)) or "none"
        click.echo(f"note: PLANS has no plan {said['plan']!r} here; it has {known}", err=True)
    key_id, key = _keeper().create(NewKey(**said))
    _told(key_id, key, as_json)


@keys_group.command("list")
@click.option("--owner", default=None, help="Only the keys of this owner.")
@AS_JSON
@failing_plainly
def list_keys(owner: str | None, as_json: bool) -> None:
    """Every key with its use; nothing that could be used as one."""
    rows = [with_state(row) for row in _keeper().all(owner)]
    click.echo(orjson.dumps(rows).decode() if as_json else table(rows))


@keys_group.command()
@KEY
@AS_JSON
@failing_plainly
def show(key_id: str, as_json: bool) -> None:
    """All that is known of one key."""
    row = with_state(_known(lambda keeper: keeper.one(key_id)))
    click.echo(orjson.dumps(row).decode() if as_json else details(row))


@keys_group.command()
@KEY
@click.option(
    "--overlap",
    type=SECONDS,
    default="24h",
    show_default=True,
    help="How long the old secret stays valid; 0 ends it within a second.",
)
@AS_JSON
@failing_plainly
def rotate(key_id: str, overlap: int, as_json: bool) -> None:
    """Give a key a new secret and print it."""
    _told(key_id, _known(lambda keeper: keeper.rotate(key_id, overlap)), as_json)


@keys_group.command()
@KEY
@failing_plainly
def revoke(key_id: str) -> None:
    """End a key for good; every worker refuses it within a second."""
    _known(lambda keeper: keeper.revoke(key_id))
    click.echo(f"{key_id} is revoked")


@keys_group.command()
@KEY
@failing_plainly
def suspend(key_id: str) -> None:
    """Refuse a key until `resume`."""
    _known(lambda keeper: keeper.set_active(key_id, active=False))
    click.echo(f"{key_id} is suspended")


@keys_group.command()
@KEY
@failing_plainly
def resume(key_id: str) -> None:
    """Accept a suspended key again."""
    _known(lambda keeper: keeper.set_active(key_id, active=True))
    click.echo(f"{key_id} is active")


def _keeper() -> KeyKeeper:
    from gateway.authentication.api_keys.keeping import KeyKeeper
    from gateway.database.engine import Database

    return KeyKeeper(Database(database_url(), durable=True))


def _known(ask: Callable[[KeyKeeper], T]) -> T:
    from gateway.authentication.api_keys.keeping import KeeperError

    try:
        return ask(_keeper())
    except KeeperError as error:
        raise ConfigurationError([str(error)]) from None


def _told(key_id: str, key: str, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({"id": key_id, "key": key}).decode())
        return
    click.echo(key)
    click.echo(f"This is shown once. Its id is {key_id}.", err=True)

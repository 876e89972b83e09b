"""`flask gateway filters ...`: which there are, and switching them while the gateway runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson
from flask.cli import ScriptInfo

from gateway.cli.plainly import failing_plainly
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.filters.opening import Filters


def _fault(error: Exception) -> str | None:
    from gateway.filters.switches import SwitchFault  # only if used

    known = isinstance(error, SwitchFault)
    return "the store that the workers share cannot be used" if known else None


_failing_plainly = failing_plainly("gateway.filters", _fault)


@click.group("filters", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, on one line.")
@click.pass_context
@_failing_plainly
def filters_group(context: click.Context, as_json: bool) -> None:
    """What is done with all requests, by phase; without a command: all of it, on or off."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list, without a command.")
        return
    filters, alone = _filters()
    if filters is not None:
        filters.switches.look()
    click.echo(_told(filters, as_json))
    if alone:
        click.echo("note: STATE_URL=memory://: what the settings say, not the workers", err=True)


def _told(filters: Filters | None, as_json: bool) -> str:
    from gateway.filters.telling import listed, table

    if as_json:
        return orjson.dumps({"filters": listed(filters) if filters else []}).decode()
    return table(filters) if filters else "There are no filters."


@filters_group.command()
@click.argument("name")
@_failing_plainly
def on(name: str) -> None:
    """Switch a filter on, for all workers within a second."""
    _switch(name, on=True)


@filters_group.command()
@click.argument("name")
@_failing_plainly
def off(name: str) -> None:
    """Switch a filter off, for all workers within a second."""
    _switch(name, on=False)


def _switch(name: str, *, on: bool) -> None:
    filters, alone = _filters()
    if filters is None or name not in {one.noted.name for one in filters.listed}:
        raise ConfigurationError([f"there is no filter {name!r}"])
    if alone:
        fault = "each worker keeps what it knows to itself: there is nothing to reach from here"
        raise ConfigurationError([f"STATE_URL=memory://: {fault}"])
    filters.switches.switch(name, on)
    click.echo(f"{name} is {'on' if on else 'off'}")


def _filters() -> tuple[Filters | None, bool]:
    """Those of the application; and whether no other process can be reached."""
    from gateway.state import MemoryState

    app = click.get_current_context().ensure_object(ScriptInfo).load_app()
    gateway = app.extensions["gateway"]
    return gateway.filters, isinstance(gateway.state, MemoryState)

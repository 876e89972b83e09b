"""`flask gateway db ...`: the tables of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gateway.cli import plainly
from gateway.configuration import load_settings
from gateway.database import DatabaseError, SchemaError
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.database.engine import Database


def _fault(error: Exception) -> str | None:
    return f"DATABASE_URL: {error}" if isinstance(error, DatabaseError) else None


#: A command that says in a line what is wrong with settings or database; exit code 1.
failing_plainly = plainly.failing_plainly("gateway.database", _fault)


def database_url() -> str:
    """DATABASE_URL as it is set. Raises ConfigurationError if it is none."""
    from gateway.database.address import parse_url

    url = load_settings().DATABASE_URL
    try:
        parse_url(url)
    except ValueError as error:
        raise ConfigurationError([f"DATABASE_URL: {error}"]) from None
    return url


def database_note(database: Database) -> str:
    """Why what needs this database could not use it now, and what to do; empty if they
    can. It takes a few seconds at most."""
    try:
        database.check()
    except SchemaError as error:
        return f"DATABASE_URL: {error}"  # it says what to do
    except (DatabaseError, OSError) as error:
        return f"DATABASE_URL: {error}: when it can be reached, run `flask gateway db upgrade`"
    finally:
        database.close()
    return ""


@click.group("db")
def database_group() -> None:
    """The tables of the database that keeps API keys, usage and webhooks."""


@database_group.command()
@failing_plainly
def upgrade() -> None:
    """Make the tables, or bring them to what this version needs. Safe to run again."""
    from gateway.database import schema

    before, after = schema.upgrade(database_url())
    if before == after:
        click.echo(f"The tables are as they should be ({after}).")
    else:
        click.echo(f"The tables went from {before or 'none'} to {after}.")


@database_group.command()
@failing_plainly
def current() -> None:
    """Which tables there are; exit code 1 if this version needs others."""
    from gateway.database import schema
    from gateway.database.tables import SCHEMA

    found = schema.current(database_url())
    click.echo(f"found {found or 'none'}, needed {SCHEMA}")
    if found != SCHEMA:
        raise SystemExit(1)

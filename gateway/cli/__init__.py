"""`flask gateway ...`: look at a gateway, check it, extend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click
from flask.cli import ScriptInfo

from gateway.cli.cache import cache_group
from gateway.cli.database import database_group, database_note
from gateway.cli.explain import explain_command
from gateway.cli.filters import filters_group
from gateway.cli.keys import keys_group
from gateway.cli.new_service import new_service
from gateway.cli.services import print_services, summary
from gateway.cli.settings import settings_table
from gateway.cli.token import ROLES, development_token
from gateway.cli.upstreams import print_upstreams
from gateway.cli.usage import usage
from gateway.cli.webhooks import webhooks_group
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from flask import Flask


@click.group()
def group() -> None:
    """Look at the gateway, check it, extend it."""


def _fail(error: ConfigurationError) -> NoReturn:
    click.echo(str(error), err=True)
    raise SystemExit(1)


def _load() -> Flask:
    """The application, or its faults and exit code 1."""
    try:
        return click.get_current_context().ensure_object(ScriptInfo).load_app()
    except ConfigurationError as error:
        _fail(error)


@group.command()
def services() -> None:
    """Every rule with its policies, limits and requirements."""
    print_services(_load())


@group.command()
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, on one line.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    default=None,
    metavar="SECONDS",
    help="Again and again, until Ctrl-C.",
)
def upstreams(as_json: bool, watch: float | None) -> None:
    """How every instance is by now, and how busy: as the running workers say."""
    try:
        print_upstreams(_load(), as_json=as_json, watch=watch)
    except ConfigurationError as error:
        _fail(error)
    except KeyboardInterrupt:  # the way to end watching
        click.echo()


@group.command()
@click.option("--strict", is_flag=True, help="Exit code 1 if there are warnings, too.")
def check(strict: bool) -> None:
    """All faults of settings and services at once; exit code 1 if there are any.

    A database that cannot be used is no fault, since the gateway starts without it: a note.
    Services that open clients or databases of their own are warned of.
    """
    from gateway.cli.lint import service_warnings  # only if used

    app = _load()
    gateway = app.extensions["gateway"]
    click.echo(summary(gateway.chosen))
    for name in gateway.chosen.astray:
        click.echo(f"note: service {name!r} is in no domain", err=True)
    if gateway.records is not None and (note := database_note(gateway.records.database)):
        click.echo(f"note: {note}", err=True)
    warnings = service_warnings(app)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if warnings and strict:
        raise SystemExit(1)


@group.command()
@click.option("--role", type=click.Choice(ROLES), default="reader", show_default=True)
@click.option("--subject", default=None, help="The user; default: the role's name.")
@click.option(
    "--expires",
    type=click.IntRange(min=1),
    default=8 * 3600,
    show_default=True,
    help="Seconds it is valid.",
)
def token(role: str, subject: str | None, expires: int) -> None:
    """A development token, signed with the configured shared secret."""
    try:
        click.echo(development_token(role, subject or role, expires))
    except ConfigurationError as error:
        _fail(error)


@group.command("new-service")
@click.argument("name")
@click.option("--prefix", required=True, help="Its paths, such as /api/v1/invoices.")
def new_service_command(name: str, prefix: str) -> None:
    """Write blueprints/NAME.py and list it in blueprints/__init__.py."""
    try:
        for line in new_service(name, prefix):
            click.echo(line)
    except ConfigurationError as error:
        _fail(error)


@group.command()
def settings() -> None:
    """The table of all settings, in Markdown."""
    click.echo(settings_table(), nl=False)


group.add_command(cache_group)
group.add_command(database_group)
group.add_command(explain_command)
group.add_command(filters_group)
group.add_command(keys_group)
group.add_command(usage)
group.add_command(webhooks_group)

"""What an identity has used of its quota, as the database knows it."""

from __future__ import annotations

import time

import click

from gateway.cli.database import database_url, failing_plainly
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError


@click.command("usage")
@click.argument("identity", metavar="KIND:SUBJECT")
@click.option("--plan", default="", help="Compare with this plan's; default: DEFAULT_PLAN.")
@failing_plainly
def usage(identity: str, plan: str) -> None:
    """How much of its quota somebody has used, such as `user:ada` or `key:4m8q2x7n5k0w`."""
    from gateway.database.engine import Database
    from gateway.database.usage import UsageLedger
    from gateway.rate_limiting.quotas import Kind, ledger_name, period_of, quotas_of

    if ":" not in identity:
        raise click.BadParameter("must be KIND:SUBJECT, such as user:ada or key:4m8q2x7n5k0w")
    settings = load_settings()
    name = plan or settings.DEFAULT_PLAN
    if name and name not in settings.PLANS:
        raise ConfigurationError([f"there is no plan {name!r} in PLANS"])
    limits = {}
    if name:
        limits = {one.kind: one.limit for one in quotas_of(name, settings.PLANS[name].quota)}
    ledger = UsageLedger(Database(database_url()))
    now = time.time()
    kinds: tuple[Kind, ...] = ("day", "month")
    for kind in kinds:
        period = period_of(kind, now).name
        spent = ledger.spent(ledger_name(identity), period)
        of = f" of {limits[kind]}" if kind in limits else ""
        click.echo(f"{period:<10} {spent}{of}")

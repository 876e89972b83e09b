"""What an identity has used of its quota, as the database knows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gateway.cli.database import database_url, failing_plainly
from gateway.cli.key_options import ID
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.authentication.identity import Identity
    from gateway.database.engine import Database
    from gateway.rate_limiting.quotas import Quota
    from settings import Settings


@click.command("usage")
@click.argument("identity", metavar="KIND:SUBJECT")
@click.option(
    "--plan", default="", help="Compare with this plan's; default: the key's, or DEFAULT_PLAN."
)
@failing_plainly
def usage(identity: str, plan: str) -> None:
    """How much of its quota somebody has used, such as `user:ada` or `key:4m8q2x7n5k0w`.

    Workers write what they counted every two seconds.
    """
    from gateway.database.engine import Database
    from gateway.database.usage import UsageLedger
    from gateway.rate_limiting.quotas import Kind, ledger_name, period_of

    kind_of, colon, subject = identity.partition(":")
    if not colon:
        raise click.BadParameter("must be KIND:SUBJECT, such as user:ada or key:4m8q2x7n5k0w")
    if kind_of == "key" and subject.startswith("gh_"):
        subject = ID.convert(subject, None, None)  # as `keys list` shows it; not a whole key
    settings = load_settings()
    name = plan or settings.DEFAULT_PLAN
    if name and name not in settings.PLANS:
        raise ConfigurationError([f"there is no plan {name!r} in PLANS"])
    database = Database(database_url())
    asked = _identity(kind_of, subject, plan, database)
    limits = {one.kind: one.limit for one in _quotas(asked, settings)}
    ledger = UsageLedger(database)
    now = time.time()
    kinds: tuple[Kind, ...] = ("day", "month")
    for kind in kinds:
        period = period_of(kind, now).name
        spent = ledger.spent(ledger_name(f"{kind_of}:{subject}"), period)
        of = f" of {limits[kind]}" if kind in limits else ""
        click.echo(f"{period:<10} {spent}{of}")


def _identity(kind: str, subject: str, plan: str, database: Database) -> Identity:
    """Whom to ask about; a key has the plan and limits of its own that the database knows, unless
    a plan is named. Raises DatabaseError."""
    from gateway.authentication.api_keys.keeping import KeeperError, KeyKeeper
    from gateway.authentication.identity import Identity

    if kind != "key" or plan:
        return Identity(subject, kind=kind, plan=plan)
    try:
        row = KeyKeeper(database).one(subject)
    except KeeperError as error:
        click.echo(f"note: {error}", err=True)
        return Identity(subject, kind=kind)
    return Identity(subject, kind=kind, plan=row["plan"], overrides=row["overrides"])


def _quotas(identity: Identity, settings: Settings) -> tuple[Quota, ...]:
    from gateway.rate_limiting.plans import Plans

    plan = Plans(settings.PLANS, settings.DEFAULT_PLAN).plan_of(identity)
    return () if plan is None else plan.quotas

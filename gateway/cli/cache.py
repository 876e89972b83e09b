"""`flask gateway cache ...`: what the workers keep of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson
from flask.cli import ScriptInfo

from gateway.cli.plainly import failing_plainly
from gateway.configuration import load_settings
from gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.caching.store import Purge
    from gateway.caching.tiers import TieredResponses


def _fault(error: Exception) -> str | None:
    from gateway.caching.store import StoreFault  # only if used

    known = isinstance(error, StoreFault)
    return f"the store of kept answers cannot be used: {error}" if known else None


_failing_plainly = failing_plainly("gateway.caching", _fault)


@click.group("cache")
def cache_group() -> None:
    """Answers kept by `Cache` policies: how many, and dropping them."""


@cache_group.command()
@click.option("--url", help="This URL, or path with its query.")
@click.option("--path", help="This path, whatever the query.")
@click.option("--prefix", help="Every path that begins so, whatever the query.")
@click.option("--tag", help="Answers with this word in their Surrogate-Key.")
@click.option("--all", "everything", is_flag=True, help="All answers of all services.")
@_failing_plainly
def purge(everything: bool, **named: str | None) -> None:
    """Drop what is named by one option, on all workers within a second."""
    from gateway.caching.purging import purge_all
    from gateway.caching.store import Purge

    given = {kind: text for kind, text in named.items() if text is not None}
    if len(given) + everything != 1:
        raise click.UsageError("Give one of --url, --path, --prefix, --tag and --all.")
    purges = [Purge("all")] if everything else _named(*given.popitem())
    click.echo(f"purged {purge_all(_responses(), purges)}")


@cache_group.command()
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, on one line.")
@_failing_plainly
def show(as_json: bool) -> None:
    """How many entries are kept, and about how many bytes they take."""
    entries, size = _responses().usage()
    if as_json:
        click.echo(orjson.dumps({"entries": entries, "bytes": size}).decode())
    else:
        click.echo(f"{entries} entries, {size} bytes")


def _named(kind: str, text: str) -> list[Purge]:
    from gateway.caching.purging import cache_options, read_purge

    options = []
    if kind == "url" and "?" in text:  # how it is kept, the policies say: it takes all of them
        options = cache_options(click.get_current_context().ensure_object(ScriptInfo).load_app())
    try:
        return read_purge(kind, text, options)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint=f"--{kind}") from None


def _responses() -> TieredResponses:
    """What the running workers keep. Raises ConfigurationError where it cannot be reached."""
    from gateway.caching.opening import is_new, open_responses
    from gateway.rate_limiting import stores

    settings = load_settings()
    if faults := stores.faults(settings):
        raise ConfigurationError(faults)
    if settings.STATE_URL == "memory://" and not settings.REDIS_URL:
        fault = "each worker keeps answers to itself: there is nothing to reach from here"
        raise ConfigurationError([f"STATE_URL=memory://: {fault}"])
    if is_new(settings):
        click.echo(
            "Note: no answers were ever kept where STATE_URL says. Does the gateway have the same?",
            err=True,
        )
    return open_responses(settings, {})

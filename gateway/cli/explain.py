"""`flask gateway explain`: what would become of a request."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import click
import orjson
from flask.cli import ScriptInfo

from gateway.cli.plainly import failing_plainly

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"/|https?://[^/?#@]+(?:[/?#]|$)", re.IGNORECASE)
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*)")
#: What an outcome is for who calls the command; every other is 0.
CODES = {"unknown": 3, "refused": 4}


def _method(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise click.BadParameter("must be a method such as GET")
    return value


def _target(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _TARGET.match(value) or re.search(r"[\r\n]", value):
        raise click.BadParameter("must be a path such as /api/v1/orders/7, or a URL without a user")
    return value


def _fields(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    found = [_FIELD.fullmatch(value) for value in values]
    if None in found:  # which one is not said: it may hold a credential
        raise click.BadParameter("must be 'Name: value'")
    return [(match[1], match[2].rstrip()) for match in found if match]


def _word(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise click.BadParameter("must be printable ASCII")
    return value


def _address(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value != "unix":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise click.BadParameter("must be an address such as 203.0.113.9, or unix") from None
    return value


@click.command("explain")
@click.argument("method", callback=_method)
@click.argument("path", callback=_target)
@click.option("--token", callback=_word, help="A bearer token.")
@click.option("--api-key", callback=_word, help="An API key, sent in API_KEY_HEADER.")
@click.option(
    "--header", "fields", multiple=True, callback=_fields, help="'Name: value'; repeatable."
)
@click.option("--data", default="", help="Its body.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    callback=_address,
    help="Who connects; unix for a unix socket.",
)
@click.option("--host", default="localhost", show_default=True, callback=_word, help="Its Host.")
@click.option(
    "--ask",
    is_flag=True,
    help="Ask authorities and call functions of require, as the request would.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: one object, on one line.")
@failing_plainly("gateway.explaining", lambda _error: None)
def explain_command(
    method: str,
    path: str,
    token: str | None,
    api_key: str | None,
    fields: list[tuple[str, str]],
    data: str,
    address: str,
    host: str,
    ask: bool,
    as_json: bool,
) -> None:
    """What would become of a request: no backend is called, nothing is counted or changed.

    PATH may be a whole URL, for its scheme and host. Shows the route and why others lost, who asks
    and may, limits, policies, what is kept, the target, and what it would be sent; credentials are
    masked. It knows what running workers share.

    Exit code 0 if it would be forwarded or answered, 1 if the gateway could not start, 2 for wrong
    words here, 3 if that depends on somebody who is not asked without --ask, and 4 if it would be
    refused.
    """
    from gateway.explaining.described import Described
    from gateway.explaining.explain import explain
    from gateway.explaining.words import text_of

    app = click.get_current_context().ensure_object(ScriptInfo).load_app()
    if token is not None:
        fields = [*fields, ("Authorization", f"Bearer {token}")]
    if api_key is not None:
        settings = app.extensions["gateway"].settings
        fields = [*fields, (settings.API_KEY_HEADER, api_key)]
    described = Described(method, path, tuple(fields), address, host, data.encode())
    try:
        told: dict[str, Any] = explain(app, described, ask=ask)
    finally:
        records = app.extensions["gateway"].records
        if records is not None:  # asked about an API key, or a quota
            records.database.close()
    click.echo(orjson.dumps(told).decode() if as_json else text_of(told))
    raise SystemExit(CODES.get(told["outcome"], 0))

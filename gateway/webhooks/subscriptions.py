"""Who is told of what: the operator's setting WEBHOOKS, resolved and judged at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.transport.calls import Server
from gateway.urls import Origin
from gateway.webhook_fields import WebhookFields
from gateway.webhooks.signing import key_of
from settings import Settings

_VARIABLE = "env:"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A partner. target: follows the server's own path; it may hold a secret, as the path may.
    keys: those that sign, the newest first. events: types and patterns."""

    partner: str
    server: Server = field(repr=False)
    target: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    events: tuple[str, ...]

    @property
    def where(self) -> str:
        """Scheme and host, which anybody may read."""
        return self.server.origin.url

    def wants(self, kind: str) -> bool:
        """Whether events of this type are for it."""
        return any(_matches(pattern, kind) for pattern in self.events)


def read_subscriptions(
    settings: Settings, environ: Mapping[str, str] | None = None
) -> tuple[dict[str, Subscription], list[str]]:
    """The subscriptions by partner, and every fault of them, which names no secret. With faults
    the subscriptions are not complete."""
    environ = os.environ if environ is None else environ
    found: dict[str, Subscription] = {}
    faults: list[str] = []
    for partner, said in settings.WEBHOOKS.items():
        try:
            server, target = _place(said)
        except ValueError as error:
            faults.append(f"WEBHOOKS.{partner}.url {error}")
        try:
            keys = tuple(key_of(_resolved(text, environ)) for text in said.secrets)
        except ValueError as error:
            faults.append(f"WEBHOOKS.{partner}.secret {error}")
        if not faults:
            found[partner] = Subscription(partner, server, target, keys, tuple(said.events))
    return found, faults


def _matches(pattern: str, kind: str) -> bool:
    if pattern.endswith("*"):
        return kind.startswith(pattern[:-1])
    return pattern == kind


def _place(said: WebhookFields) -> tuple[Server, str]:
    """The server of a URL, and what follows the path that it keeps. Raises ValueError."""
    plain, mark, query = said.url.partition("?")
    try:
        origin = Origin.parse(plain)
    except ValueError:
        origin = None
    if origin is None or "#" in query:
        raise ValueError("must be https://host[:port][/path][?query], without user and fragment")
    if origin.scheme != "https" and not (origin.loopback or said.plain_http):
        raise ValueError(
            "must be https: events would pass the network in the clear (plain_http permits it)"
        )
    slash = "/" if plain.endswith("/") and origin.base_path else ""  # which an origin drops
    return Server(origin), slash + mark + query


def _resolved(text: str, environ: Mapping[str, str]) -> str:
    """A secret: the text itself, or what the variable holds that it names. Raises ValueError."""
    if not text.startswith(_VARIABLE):
        return text
    value = environ.get(text.removeprefix(_VARIABLE), "").strip()
    if not value:
        raise ValueError("names a variable that is not set")
    return value

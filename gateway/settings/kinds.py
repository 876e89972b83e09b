"""Kinds of settings that are more than a word or a number: lists with commas, and JSON.

Loads little: gunicorn's master reads the settings before a gevent worker has patched anything.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from gateway.plan_fields import PlansByName
from gateway.webhook_fields import WebhooksByPartner

Words = tuple[str, ...]

_HEADER = re.compile(r"[A-Za-z0-9\-]+")
# A week, in seconds.
_LONGEST_DELAY = 604_800
_MOST_DELAYS = 100
_NAME_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([0-9.]+))(?::\d{1,5})?")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: Words) -> Words:
    for part in value:
        if part != "unix":
            ipaddress.ip_network(part, strict=False)
    return value


def _name_servers(value: Words) -> Words:
    for part in value:
        match = _NAME_SERVER.fullmatch(part)
        ipaddress.ip_address((match[1] or match[2]) if match else part)
    return value


def _header_names(value: Words) -> Words:
    for name in value:
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
    return value


def _delays(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(value) > _MOST_DELAYS or not all(1 <= one <= _LONGEST_DELAY for one in value):
        raise ValueError(f"up to {_MOST_DELAYS} times of 1 to {_LONGEST_DELAY} seconds")
    return value


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}") from None


#: Words parted by commas.
CommaList = Annotated[Words, NoDecode, BeforeValidator(_split)]
#: CIDRs, and `unix`.
Networks = Annotated[CommaList, AfterValidator(_networks)]
#: Addresses of name servers, each perhaps with a port.
NameServers = Annotated[CommaList, AfterValidator(_name_servers)]
#: Names of header fields.
HeaderNames = Annotated[CommaList, AfterValidator(_header_names)]
#: Plans by name, as JSON.
PlansAsJson = Annotated[PlansByName, NoDecode, BeforeValidator(_json)]
#: Whole seconds, parted by commas.
Delays = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_split), AfterValidator(_delays)]
#: Webhooks by partner, as JSON.
WebhooksAsJson = Annotated[WebhooksByPartner, NoDecode, BeforeValidator(_json)]

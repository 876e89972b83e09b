"""What a backend is told of who asks: plain fields, a signed token, both, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

from gateway import forwarded, headers
from gateway.authentication.identity import Identity
from settings import Settings

if TYPE_CHECKING:
    from gateway.authentication.internal_tokens import InternalTokens
    from gateway.service import Service

#: The fields that tell a backend of an identity.
Tell = Callable[[Identity], Iterable[tuple[str, str]]]

#: What `Service(identity=)` may be.
WAYS = ("headers", "token", "both", "none")
_SIGNED = ("token", "both")
#: The fields X-User-*, and those of the scheme.
PLAIN: Tell = attrgetter("headers")


def open_internal_tokens(settings: Settings) -> tuple[InternalTokens | None, list[str]]:
    """What issues tokens, None without a key, and what is wrong with the settings of it."""
    if not settings.INTERNAL_TOKEN_KEY:
        return None, []
    from gateway.authentication.internal_tokens import InternalTokens
    from gateway.authentication.signing_keys import load_signing_keys

    keys, faults = load_signing_keys(settings.INTERNAL_TOKEN_KEY)
    if not keys and not faults:
        faults.append("INTERNAL_TOKEN_KEY lists no key")
    header = settings.INTERNAL_TOKEN_HEADER
    if header.lower() in headers.NEVER_FORWARDED | forwarded.ALWAYS | {"cookie", "content-type"}:
        faults.append(f"INTERNAL_TOKEN_HEADER cannot be {header}, which means something else")
    if faults:
        return None, faults
    seconds, issuer = settings.INTERNAL_TOKEN_SECONDS, settings.INTERNAL_TOKEN_ISSUER
    return InternalTokens(keys, header=header, issuer=issuer, seconds=seconds), []


def telling_faults(service: Service, settings: Settings) -> list[str]:
    """What is wrong with the way in which the backend is to be told."""
    if service.identity not in WAYS:
        return [f"identity must be one of {', '.join(WAYS)}"]
    if service.identity in _SIGNED and not settings.INTERNAL_TOKEN_KEY:
        return [f"identity {service.identity!r} needs INTERNAL_TOKEN_KEY"]
    return []


def make_tell(service: Service, tokens: InternalTokens | None) -> Tell:
    """What tells the backend of this service."""
    if service.identity == "none":
        return lambda identity: ()
    if tokens is None or service.identity == "headers":
        return PLAIN
    signed = tokens.teller(service.known_as)
    if service.identity == "token":
        return signed
    name = tokens.header.lower()

    def tell(identity: Identity) -> Iterable[tuple[str, str]]:
        # A scheme may tell something in `Authorization`, too; two of them say nothing.
        plain = (field for field in identity.headers if field[0].lower() != name)
        return (*plain, *signed(identity))

    return tell


def kept_for_tokens(service: Service, tokens: InternalTokens | None) -> frozenset[str]:
    """Fields that no client may send to the backend of this service, since tokens come in them.

    A field of the gateway's own is kept from all of them, `Authorization` only from those that
    find a token there."""
    if tokens is None:
        return frozenset()
    name = tokens.header.lower()
    if name == "authorization" and service.identity not in _SIGNED:
        return frozenset()
    return frozenset({name})


def signed_fields(tokens: InternalTokens | None) -> frozenset[str]:
    """The field that signed tokens come in, in lower case."""
    return frozenset() if tokens is None else frozenset({tokens.header.lower()})

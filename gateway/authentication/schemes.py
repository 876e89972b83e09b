"""Which schemes a gateway has, by its settings: composed here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.bearer import Bearer, TokenAuthority
from gateway.authentication.keys import KeySet
from gateway.authentication.scheme import Scheme
from gateway.authentication.tokens import TokenVerifier
from gateway.pulse import Pulse
from gateway.state import SharedState
from settings import Settings

#: What `Service(authentication=)` may name.
NAMES = frozenset({"bearer", "jwt"})


@dataclass(frozen=True, slots=True)
class SchemeContext:
    """The gateway as its schemes see it. keys: of JWT_SECRET and JWT_KEYS."""

    settings: Settings
    keys: KeySet
    state: SharedState
    pulse: Pulse


def make_authenticator(context: SchemeContext) -> Authenticator:
    """The schemes that the settings ask for. Nothing is connected or opened before it is used."""
    settings = context.settings
    schemes: list[Scheme] = []
    if authorities := _authorities(context):
        schemes.append(Bearer(authorities, settings.TOKEN_HEADER, settings.TOKEN_COOKIE))
    return Authenticator(schemes)


def _authorities(context: SchemeContext) -> list[TokenAuthority]:
    """Who judges bearer tokens, in the order in which they are asked."""
    settings = context.settings
    found: list[TokenAuthority] = []
    if context.keys.keys:
        found.append(
            TokenVerifier(
                context.keys,
                issuer=settings.JWT_ISSUER,
                audience=settings.JWT_AUDIENCE,
                leeway=settings.JWT_LEEWAY,
                cache_size=settings.JWT_CACHE_SIZE,
            )
        )
    return found


def beside_keys(settings: Settings) -> bool:
    """Whether the settings name a way to authenticate other than by JWT_SECRET and JWT_KEYS."""
    return False


def scheme_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of the schemes."""
    return []

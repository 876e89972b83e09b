"""Which schemes a gateway has, by its settings: composed here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import forwarded, headers
from gateway.authentication.authenticator import Authenticator
from gateway.authentication.bearer import Bearer, TokenAuthority
from gateway.authentication.keys import KeySet
from gateway.authentication.scheme import Scheme
from gateway.authentication.tokens import TokenVerifier
from gateway.database.opening import Records
from gateway.observability.security_log import SecurityLog
from gateway.pulse import Pulse
from gateway.state import SharedState
from settings import Settings

#: What `Service(authentication=)` may name, and the settings that set it up.
NAMES = {
    "api_key": "API_KEYS",
    "basic": "API_KEY_BASIC",
    "bearer": "one of JWT_SECRET, JWT_KEYS, OIDC_ISSUERS and INTROSPECTION_URL",
    "certificate": "CLIENT_CERTIFICATES",
    "introspection": "INTROSPECTION_URL",
    "jwt": "JWT_SECRET or JWT_KEYS",
    "oidc": "OIDC_ISSUERS",
}


# Fields that no setting can make a credential of its own.
_TAKEN = headers.NEVER_FORWARDED | forwarded.ALWAYS | {"authorization", "cookie", "content-type"}


@dataclass(frozen=True, slots=True)
class SchemeContext:
    """The gateway as its schemes see it. keys: of JWT_SECRET and JWT_KEYS. records: None where
    nothing needs a database. security: None where no such log is wanted."""

    settings: Settings
    keys: KeySet
    state: SharedState
    pulse: Pulse
    records: Records | None = None
    security: SecurityLog | None = None


def make_authenticator(context: SchemeContext) -> Authenticator:
    """The schemes that the settings ask for. Nothing is connected or opened before it is used."""
    settings = context.settings
    schemes: list[Scheme] = []
    if authorities := _authorities(context):
        schemes.append(Bearer(authorities, settings.TOKEN_HEADER, settings.TOKEN_COOKIE))
    if context.records is not None and (settings.API_KEYS or settings.API_KEY_BASIC):
        from gateway.authentication.api_keys.schemes import make_schemes  # only if used

        schemes += make_schemes(settings, context.records)
    if settings.CLIENT_CERTIFICATES:
        from gateway.authentication.client_certificates import (
            certificate_faults,
            make_certificates,
        )

        if not certificate_faults(settings):
            schemes.append(make_certificates(settings))
    return Authenticator(schemes)


def _authorities(context: SchemeContext) -> list[TokenAuthority]:
    """Who judges bearer tokens, in the order in which they are asked."""
    settings = context.settings
    found: list[TokenAuthority] = []
    if settings.OIDC_ISSUERS:
        from gateway.authentication.oidc.authority import make_authority  # only if used

        found.append(make_authority(settings, context.state, context.pulse))
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
    if settings.INTROSPECTION_URL:
        from gateway.authentication.introspection import introspection_faults, make_introspection

        # With faults nothing will run, but the services are looked at too, to name theirs as well.
        if not introspection_faults(settings):
            found.append(make_introspection(settings))
    return found


def beside_keys(settings: Settings) -> bool:
    """Whether the settings name a way to authenticate other than by JWT_SECRET and JWT_KEYS."""
    beside = (
        settings.API_KEYS,
        settings.API_KEY_BASIC,
        settings.CLIENT_CERTIFICATES,
        settings.OIDC_ISSUERS,
        settings.INTROSPECTION_URL,
    )
    return any(beside)


def scheme_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of the schemes."""
    faults = _header_faults(settings)
    if settings.OIDC_ISSUERS:
        from gateway.authentication.oidc.issuer import parse_issuers

        faults += parse_issuers(settings.OIDC_ISSUERS)[1]
    if (
        settings.INTROSPECTION_URL
        or settings.INTROSPECTION_CLIENT_ID
        or settings.INTROSPECTION_CLIENT_SECRET
    ):
        from gateway.authentication.introspection import introspection_faults

        faults += introspection_faults(settings)
    if settings.CLIENT_CERTIFICATES:
        from gateway.authentication.client_certificates import certificate_faults

        faults += certificate_faults(settings)
    return faults


def _header_faults(settings: Settings) -> list[str]:
    """Settings that name a field which something else reads or writes, or the same one."""
    named = [("TOKEN_HEADER", settings.TOKEN_HEADER)] if settings.TOKEN_HEADER else []
    if settings.API_KEYS:
        named.append(("API_KEY_HEADER", settings.API_KEY_HEADER))
    named += [("CLIENT_CERTIFICATES", name) for name in settings.CLIENT_CERTIFICATES]
    faults = [
        f"{setting}: {name} has a meaning of its own"
        for setting, name in named
        if name.lower() in _TAKEN
    ]
    if settings.INTERNAL_TOKEN_KEY:  # see gateway.telling for what it may be otherwise
        named.append(("INTERNAL_TOKEN_HEADER", settings.INTERNAL_TOKEN_HEADER))
    first: dict[str, str] = {}
    for setting, name in named:
        other = first.setdefault(name.lower(), setting)
        if other != setting:
            faults.append(f"{setting}: {name} is {other} already")
    return faults

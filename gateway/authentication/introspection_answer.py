"""What an authorisation server says of a token, and who that makes its bearer (RFC 7662)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.authentication.decisions import NoDecision
from gateway.authentication.identity import Identity, encoded
from gateway.authentication.tokens import invalid, scopes, words
from gateway.errors import Unauthenticated

# What servers call a token that whoever bears it may use: RFC 6750's word, and an older habit.
_BEARER = frozenset({"", "bearer", "access_token"})
_ACCESS = frozenset({"", "access", "access_token"})


@dataclass(frozen=True, slots=True)
class Denied:
    """The verdict on a token that is not to be accepted."""

    detail: str = "The token is not valid."
    slug: str = "token_invalid"

    def refusal(self) -> Unauthenticated:
        """What is raised."""
        return invalid(self.detail, self.slug)


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """What an active token has to fulfil besides.

    issuer, audience: what `iss` and `aud` must say; empty: not looked at. leeway: seconds of clock
    difference forgiven in `exp` and `nbf`.
    """

    issuer: str = ""
    audience: str = ""
    leeway: float = 30.0

    def read(self, body: bytes, now: float) -> Identity | Denied:
        """The verdict. now: seconds since the epoch. Raises NoDecision for what is no answer to
        the question, or has members of other types than RFC 7662 section 2.2 says."""
        try:
            said = orjson.loads(body)
        except ValueError:
            raise _unclear("the answer is not JSON") from None
        if not isinstance(said, dict) or "active" not in said:
            raise _unclear("the answer does not say whether the token is active")
        if said["active"] is not True:
            return Denied()
        return self._denied(said, now) or _identity(said)

    def _denied(self, said: Mapping[str, Any], now: float) -> Denied | None:
        expires, begins = _number(said, "exp"), _number(said, "nbf")
        if expires is not None and expires + self.leeway <= now:
            return Denied("The token has expired.", "token_expired")
        if begins is not None and begins - self.leeway > now:
            return Denied()
        if self.issuer and _text(said, "iss") != self.issuer:
            return Denied()
        if self.audience and self.audience not in _audiences(said):
            return Denied("The token is for somebody else.")
        return _not_for_bearers(said)


def _not_for_bearers(said: Mapping[str, Any]) -> Denied | None:
    # A refresh token is active too, and a token that is bound to a key (RFC 7800) proves nothing
    # without that key.
    if (
        _text(said, "token_type").lower() not in _BEARER
        or _text(said, "token_use").lower() not in _ACCESS
    ):
        return Denied("The token is not an access token for bearers.")
    if said.get("cnf"):
        return Denied("The token is bound to a key.")
    return None


def _identity(said: Mapping[str, Any]) -> Identity | Denied:
    client = _text(said, "client_id")
    person = _text(said, "sub") or _text(said, "username")
    subject = person or client
    if not subject:
        return Denied("The token names no subject.")
    try:
        granted, roles = scopes(said), words(said, "roles")
        permissions = (*words(said, "permissions"), *granted)
    except Unauthenticated as refusal:
        raise _unclear(str(refusal.description)) from None
    plan = said.get("plan")
    return Identity(
        subject,
        kind="client" if subject == client else "user",
        roles=roles,
        permissions=tuple(dict.fromkeys(permissions)),
        scopes=granted,
        plan=plan if isinstance(plan, str) else "",
        claims=said,
        scheme="introspection",
        told=(
            ("X-Token-Subject", encoded(subject)),
            ("X-Token-Scopes", " ".join(encoded(scope).replace(" ", "%20") for scope in granted)),
        ),
    )


def _number(said: Mapping[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unclear(f"{name} is not a number")
    return value


def _text(said: Mapping[str, Any], name: str) -> str:
    """A word, empty where it is missing; some servers name people and clients by number."""
    value = said.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _unclear(f"{name} is not text")
    return str(value)


def _audiences(said: Mapping[str, Any]) -> tuple[str, ...]:
    value = said.get("aud")
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return (_text(said, "aud"),)


def _unclear(text: str) -> NoDecision:
    return NoDecision(text, down=False)

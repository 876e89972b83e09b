"""Credentials looked at from beside: judged as ever, nothing counted, and nobody asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.authentication.api_keys.key import id_of
from gateway.authentication.api_keys.known import KnownKeys
from gateway.authentication.api_keys.schemes import ApiKey, Basic
from gateway.authentication.api_keys.verifier import KeyVerifier
from gateway.authentication.bearer import Bearer
from gateway.authentication.identity import Identity
from gateway.authentication.keys import load_keys
from gateway.authentication.scheme import NotAsked
from gateway.authentication.tokens import TokenVerifier
from gateway.errors import AuthorityUnavailable, Unauthenticated
from gateway.state import MemoryState
from tests.authentication.api_keys.support import Asked, record_of, secret_changed, unused_key
from tests.authentication.oidc.support import Document, authority, jwk
from tests.authentication.oidc.support import token as issued
from tests.support.wsgi import SECRET, token


class Elsewhere:
    """An authority that has to be asked."""

    name = "introspection"

    def recognises(self, token: str, claims: Mapping[str, Any] | None) -> bool:
        """All that is left."""
        return True

    def verify(self, token: str) -> Identity:
        """Asks."""
        raise AssertionError("it was asked")


def test_a_bearer_token_is_judged_where_nobody_need_be_asked() -> None:
    own = TokenVerifier(load_keys(SECRET, "", needed=True)[0])
    bearer = Bearer([own, Elsewhere()])
    assert bearer.peek(token("ada"), {}).subject == "ada"
    with pytest.raises(NotAsked, match="introspection"):
        bearer.peek("opaque", {})
    with pytest.raises(Unauthenticated):
        bearer.peek("two words", {})
    with pytest.raises(Unauthenticated):
        Bearer([own]).peek("opaque", {})


def test_keys_of_an_issuer_are_used_as_the_workers_have_them() -> None:
    document, state = Document(jwk()), MemoryState()
    beside = authority(document=document, state=state)
    with pytest.raises(NotAsked, match="the keys of"):
        beside.peek(issued())
    assert (document.fetches, state.scan("")) == (0, {})
    assert authority(document=document, state=state).verify(issued()).subject == "u1"
    assert beside.peek(issued()).subject == "u1"
    with pytest.raises(NotAsked):  # one that may be there by now
        beside.peek(issued("RS256", 1))
    with pytest.raises(Unauthenticated):
        beside.peek(issued(exp=1))
    assert document.fetches == 1


class Ledger:
    """Where use would be counted."""

    def add(self, name: str, period: str = "", amount: int = 1) -> None:
        """Counts."""
        raise AssertionError("it was counted")


def test_an_api_key_is_read_and_not_counted() -> None:
    asked, key = Asked(), unused_key()
    asked.set(str(id_of(key)), record_of(str(id_of(key)), key, owner="ada"))
    known = KnownKeys(asked)  # type: ignore[arg-type]  # as much of it as is used
    verifier = KeyVerifier(known, Ledger())  # type: ignore[arg-type]
    environ: dict[str, Any] = {}
    for _ in range(2):
        assert ApiKey(verifier).peek(key, environ).kind == "key"
    assert (asked.finds, asked.looks) == (2, 0)  # nothing is remembered, and nobody watches
    with pytest.raises(Unauthenticated):
        ApiKey(verifier).peek(secret_changed(key), environ)
    with pytest.raises(Unauthenticated):
        Basic(verifier).peek("bm90aGluZzo=", environ)
    asked.broken = True
    with pytest.raises(AuthorityUnavailable):
        ApiKey(verifier).peek(key, environ)

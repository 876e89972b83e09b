"""Which keys are good, and what the others are told."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from gateway.authentication.api_keys.key import digest_of, new_key
from gateway.authentication.api_keys.known import KnownKeys
from gateway.authentication.api_keys.verifier import KeyVerifier
from gateway.authentication.identity import Identity
from gateway.errors import Unauthenticated
from tests.authentication.api_keys.support import Asked, Clock, record_of, unused_key

ID = "aaaaaaaaaaaa"
KEY, OLD, WRONG = new_key(ID), new_key(ID), new_key(ID)


class Counted:
    """Stands for the ledger."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str]] = []

    def add(self, name: str, period: str = "", amount: int = 1) -> None:
        """See UsageLedger.add."""
        self.added.append((name, period))


class Gate:
    """A verifier with one key, whose record can be changed."""

    def __init__(self, **changes: Any) -> None:
        self.asked = Asked()
        self.asked.set(ID, record_of(ID, KEY, **changes))
        self.wall = Clock(1_764_000_000.0)
        self.counted = Counted()
        known = KnownKeys(self.asked)  # type: ignore[arg-type]
        self.verifier = KeyVerifier(known, self.counted, wall=self.wall)  # type: ignore[arg-type]

    def tell(self, key: str) -> Identity | str:
        """The identity, or why not."""
        try:
            return self.verifier.verify(key, "Some challenge")
        except Unauthenticated as error:
            refusal = error
        assert refusal.code == 401
        assert refusal.extra_headers == (("WWW-Authenticate", "Some challenge"),)
        return refusal.slug


def test_a_good_key() -> None:
    gate = Gate(owner="ada")
    identity = gate.tell(KEY)
    assert isinstance(identity, Identity)
    assert (identity.subject, identity.claims["owner"]) == (ID, "ada")
    assert gate.counted.added == [(f"key:{ID}", "2025-11-24"), (f"key:{ID}", "")]
    gate.wall.now += 86_400
    gate.tell(KEY)
    assert gate.counted.added[2] == (f"key:{ID}", "2025-11-25")


@pytest.mark.parametrize(
    "key",
    ["", "gh_", "secret", KEY[:-1], KEY + "x", f"{KEY},{KEY}", "é"],
    ids=["empty", "prefix", "word", "short", "long", "twice", "accent"],
)
def test_what_is_no_key_is_refused_without_asking(key: str) -> None:
    gate = Gate()
    assert gate.tell(key) == "api_key_invalid"
    assert gate.asked.finds == 0


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"revoked": 5, "active": False}, "api_key_revoked"),
        ({"active": False}, "api_key_suspended"),
        ({"expires": 1_764_000_000}, "api_key_expired"),
        ({"expires": 1_764_000_000, "revoked": 5}, "api_key_revoked"),
    ],
)
def test_only_who_has_the_secret_is_told_why(changes: dict[str, Any], slug: str) -> None:
    gate = Gate(**changes)
    assert gate.tell(KEY) == slug
    assert gate.tell(WRONG) == gate.tell(unused_key()) == "api_key_invalid"
    assert gate.counted.added == []


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        ({"revoked": 5}, KEY, ID),
        ({"active": False}, KEY, ID),
        ({"expires": 1}, KEY, ID),
        ({"previous_digest": digest_of(OLD), "previous_until": 1}, OLD, ID),
        ({}, WRONG, ID),
        ({}, unused_key(), ""),
        ({}, new_key("0" * 12), ""),  # the id of the row that stands for none
        ({}, KEY[:-1], ""),
    ],
    ids=["revoked", "suspended", "expired", "rotated", "wrong", "unknown", "nobody", "malformed"],
)
def test_a_refusal_names_the_key_if_there_is_one(
    changes: dict[str, Any], key: str, told: str
) -> None:
    with pytest.raises(Unauthenticated) as raised:
        Gate(**changes).verifier.verify(key, "Some challenge")
    assert raised.value.key == told


def test_expiry_is_looked_at_each_time() -> None:
    gate = Gate(expires=1_764_000_001)
    assert isinstance(gate.tell(KEY), Identity)
    gate.wall.now += 0.9
    assert isinstance(gate.tell(KEY), Identity)
    gate.wall.now += 0.1
    assert gate.tell(KEY) == "api_key_expired"
    assert gate.asked.finds == 1


def test_an_old_secret_is_good_until_its_time_is_over() -> None:
    gate = Gate(previous_digest=digest_of(OLD), previous_until=1_764_000_060)
    assert isinstance(gate.tell(KEY), Identity)
    gate.wall.now += 59.9
    assert isinstance(gate.tell(OLD), Identity)
    gate.wall.now += 0.1
    assert gate.tell(OLD) == "api_key_invalid"
    assert isinstance(gate.tell(KEY), Identity)
    assert gate.asked.finds == 1


def test_the_old_secret_of_a_key_that_is_revoked() -> None:
    gate = Gate(previous_digest=digest_of(OLD), previous_until=9_999_999_999, revoked=5)
    assert gate.tell(OLD) == "api_key_revoked"


def test_every_secret_is_compared_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for changes, key in (
        ({}, KEY),
        ({}, WRONG),
        ({}, unused_key()),
        ({"revoked": 5}, KEY),
        ({"revoked": 5}, WRONG),
        ({"previous_digest": digest_of(OLD), "previous_until": 9_999_999_999}, OLD),
    ):
        compared.clear()
        Gate(**changes).tell(key)
        assert compared == [(32, 32), (32, 32)]

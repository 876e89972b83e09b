"""What a key looks like, and that nothing else is one."""

from __future__ import annotations

import re

import pytest

from gateway.authentication.api_keys.key import digest_of, id_of, new_id, new_key

KEY = "gh_4m8q2x7n5k0w_AbCdEfGhIjKlMnOpQrStUvWxYz0123453838f49a"


def test_its_form() -> None:
    key_id = new_id()
    key = new_key(key_id)
    assert re.fullmatch(r"gh_[0-9a-z]{12}_[0-9A-Za-z]{32}[0-9a-f]{8}", key)
    assert id_of(key) == key_id


def test_no_two_are_alike() -> None:
    keys = {new_key("0" * 12) for _ in range(1000)} | {new_id() for _ in range(1000)}
    assert len(keys) == 2000
    used = set("".join(key[16:48] for key in keys if key.startswith("gh_")))
    assert len(used) == 62  # every character of which a secret may consist


def test_the_checksum_stays_the_same_for_ever() -> None:
    assert id_of(KEY) == "4m8q2x7n5k0w"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gh_",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        KEY.replace("gh_", "gk_"),
        KEY.replace("_A", "_B"),
        KEY.replace("4m8", "4m9"),
        KEY.replace("4m8", "4mi"),
        KEY.replace("A", "Ä"),
        KEY.replace("5", "\u0665"),
        f"{KEY},{KEY}",
        "x" * 100_000,
        "\udc80",
    ],
)
def test_what_is_none(text: str) -> None:
    assert id_of(text) is None


def test_the_hash_is_of_the_whole_key() -> None:
    assert len({digest_of(KEY), digest_of(KEY[3:]), digest_of(KEY.swapcase())}) == 3
    assert len(digest_of(KEY)) == 32

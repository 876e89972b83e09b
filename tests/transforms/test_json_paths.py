"""Paths to what is inside a JSON value."""

from __future__ import annotations

import pytest

from gateway.transforms.json_paths import EACH, MAX_STEPS, Path, changed_at, parse_path, parted


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("user.mailAddress", ("user", "mailAddress")),
        ("items.*.sku", ("items", EACH, "sku")),
        ("*", (EACH,)),
        (r"a\.b.c", ("a.b", "c")),
        (r"\*.a*", ("*", "a*")),
        (r"a\\.b", ("a\\", "b")),
        ("Straße.0", ("Straße", "0")),
        (".".join("a" * MAX_STEPS), ("a",) * MAX_STEPS),
    ],
)
def test_a_path(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "\\", "a\\", r"a\b", r"a.\b", ".".join("a" * 33)]
)
def test_a_malformed_path(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(text)


def test_a_path_is_parted_behind_its_last_star() -> None:
    assert parted(parse_path("a.*.b.*.c.d")) == (("a", EACH, "b", EACH), ("c", "d"))
    assert parted(parse_path("a.b")) == ((), ("a", "b"))
    assert parted(parse_path("a.*")) == (("a", EACH), ())


def test_what_is_not_changed_is_shared() -> None:
    given = {"a": {"b": 1}, "c": {"d": 2}}
    changed = changed_at(given, ("a", "b"), str)
    assert changed == {"a": {"b": "1"}, "c": {"d": 2}}
    assert given == {"a": {"b": 1}, "c": {"d": 2}}
    assert changed["c"] is given["c"]
    assert changed_at(given, ("a", "x", EACH), str) == given

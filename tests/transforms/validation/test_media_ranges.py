"""Media types that are taken."""

from __future__ import annotations

import pytest

from gateway.transforms.validation.media_ranges import JSON, MediaRanges, is_range


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("application/json", "application/json"),
        ("Application/JSON ; charset=utf-8", "application/json"),
        ("application/vnd.shop+json", "application/*+json"),
        ("application/xml", "application/*"),
        ("text/plain", "*/*"),
        ("image/png", "image/png; q=1"),
        ("application", None),
        ("", None),
    ],
)
def test_the_narrowest_wins(content_type: str, found: str | None) -> None:
    ranges = ("*/*", "application/*", "application/*+json", "application/json", "image/png; q=1")
    assert MediaRanges(ranges).match(content_type) == found


def test_what_would_be_taken_is_told_as_accept_can_say_it() -> None:
    assert MediaRanges(JSON).accept == "application/json"
    assert (
        MediaRanges(["text/*", "*/*", "Application/XML"]).accept == "*/*, application/xml, text/*"
    )
    assert MediaRanges([]).match("application/json") is None


@pytest.mark.parametrize("text", ["json", "a/b/c", "a b/c", "", None, 5])
def test_what_is_no_media_type(text: object) -> None:
    assert not is_range(text)

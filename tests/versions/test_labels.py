"""Names of versions."""

from __future__ import annotations

import pytest

from gateway.versions.labels import LABEL, name_of, normalised, shape_of


@pytest.mark.parametrize("text", ["2", "v2", "V2", " v2 "])
def test_names_of_the_same_version(text: str) -> None:
    assert normalised(text) == "2"


@pytest.mark.parametrize("text", ["vee", "v", "v²", "1.1", "2024-01-15"])
def test_other_names_stay_as_they_are(text: str) -> None:
    assert normalised(text) == text


def test_case_does_not_matter() -> None:
    assert normalised("Beta") == normalised("beta")


@pytest.mark.parametrize(
    ("label", "shape"),
    [
        ("v1", "v"),
        ("v1.2", "v"),
        ("V2024-01", "v"),
        ("2024-01-15", "date"),
        ("1.1", "dotted"),
        ("7", "number"),
        ("beta", None),
        ("v1beta", None),
    ],
)
def test_what_labels_look_like(label: str, shape: str | None) -> None:
    assert LABEL.fullmatch(label)
    assert shape_of(label) == shape


@pytest.mark.parametrize("label", ["", "-1", "1.", "a b", "a/b", "é", "<v1>", "v" * 65, "v1\n"])
def test_what_cannot_be_a_label(label: str) -> None:
    assert not LABEL.fullmatch(label)


def test_a_name_among_services_has_no_dots() -> None:
    assert name_of("users", "1.1") == "users-1-1"

"""Versions in `Accept`."""

from __future__ import annotations

import pytest

from gateway.versions.accepting import accepted_version

KNOWN = {"1", "2", "1.1", "2024-01-15", "beta", "3-preview"}


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        ("application/vnd.acme.v2+json", "2"),
        ("application/vnd.acme.V2+json", "2"),
        ("application/vnd.acme.users.v2+json", "2"),
        ("application/vnd.acme.v2.raw+json", "2"),
        ("application/vnd.acme-v2+json", "2"),
        ("application/vnd.acme.v2", "2"),
        ("application/vnd.acme.v1.1+json", "1.1"),
        ("application/vnd.acme.v2024-01-15+json", "2024-01-15"),
        ("application/vnd.acme.2024-01-15+json", "2024-01-15"),
        ("application/vnd.acme.beta+json", "beta"),
        ("application/vnd.acme.v3-preview+json", "3-preview"),
        ("application/json;version=2", "2"),
        ("application/json; version=v2", "2"),
        ('application/json;charset=utf-8;v="2"', "2"),
        ("application/json;V=2", "2"),
        # of several, the one that is liked best and known
        ("application/json;v=1;q=0.5, application/json;v=2", "2"),
        ("application/json;v=9, application/json;v=2;q=0.1", "2"),
        ("application/json, application/json;v=2;q=0.1", "2"),
        ("application/json;v=1;q=0, application/json;v=2;q=0.1", "2"),
        # what is not known
        ("application/vnd.acme.v9+json", "9"),
        ("application/vnd.acme.v1.2+json", "1.2"),
        ("application/json;v=9, application/json;v=8;q=0.1", "9"),
        # nothing that names one
        ("application/json", None),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None),
        ("application/vnd.acme+json", None),
        ("application/vnd.ms-excel.sheet.macroEnabled.12", None),
        ("application/json;level=2", None),
        ("application/json;v=", None),
        ("application/json;v=2;q=0", None),
        ("application/json;v=2;q=nan", None),
        # something else would do
        ("application/vnd.acme.v9+json, */*;q=0.1", None),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", None),
        (",;, v=2", None),
    ],
)
def test_the_version_that_is_accepted(accept: str, version: str | None) -> None:
    assert accepted_version(accept, KNOWN) == version

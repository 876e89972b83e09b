"""A played issuer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.authentication.oidc.support import IssuerServer, jwk


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    """An issuer that publishes one RSA key."""
    with IssuerServer(jwk()) as server:
        yield server

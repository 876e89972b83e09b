"""What the tests of policies share."""

from __future__ import annotations

import pytest

from tests.policies.circuits import Setup


@pytest.fixture
def setup() -> Setup:
    """Workers with a breaker of the usual options."""
    return Setup()

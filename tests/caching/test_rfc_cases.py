"""What caches owe to the RFCs, case by case, through a whole application over every store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.caching.cases import (
    asking,
    choosing,
    freshness,
    invalidating,
    options,
    ranges,
    stale,
    storing,
    targeted,
    telling,
    validating,
)
from tests.caching.running import Places, stopped_clock
from tests.caching.script import Case
from tests.rate_limiting.redis_server import BINARY, start_redis

MODULES = (
    storing,
    choosing,
    freshness,
    validating,
    invalidating,
    asking,
    stale,
    ranges,
    telling,
    targeted,
    options,
)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]


@pytest.fixture(scope="module", params=["memory", "lmdb", "redis"])
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Places]:
    """Applications over one of the stores."""
    with stopped_clock() as clock:
        if request.param == "redis":
            if BINARY is None:
                pytest.skip("there is no redis-server here")
            with start_redis() as server:
                yield Places({"REDIS_URL": server.url}, clock)
            return
        settings: dict[str, Any] = {"STATE_URL": "memory://"}
        if request.param == "lmdb":
            settings = {"STATE_URL": f"lmdb://{tmp_path_factory.mktemp('cases')}"}
        yield Places(settings, clock)


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_case(places: Places, case: Case) -> None:
    places.of(case).run(case)

"""Which store answers are kept in, and that nothing is opened for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.entry import Passed
from gateway.caching.memory import MemoryResponses
from gateway.caching.opening import open_responses
from gateway.caching.redis_store import RedisResponses
from gateway.caching.store import Purge, StoreFault
from tests.support.gunicorn import free_port
from tests.support.wsgi import make_settings

KEY = b"k" * 16


def store_of(responses: Any) -> object:
    """What is behind a worker's tier and the fallback."""
    return responses._store._store


def test_one_for_each_application() -> None:
    commons: dict[str, Any] = {}
    responses = open_responses(make_settings(), commons)
    assert open_responses(make_settings(), commons) is responses
    assert open_responses(make_settings(), {}) is not responses


def test_settings_choose(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lmdb = f"lmdb://{folder}"
    chosen = {
        MemoryResponses: {"STATE_URL": "memory://"},
        EmbeddedResponses: {"STATE_URL": lmdb},
        RedisResponses: {"STATE_URL": lmdb, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"},
    }
    for kind, settings in chosen.items():
        assert type(store_of(open_responses(make_settings(**settings), {}))) is kind
    assert not folder.exists()  # nothing was opened


def test_the_store_has_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = make_settings(STATE_URL=f"lmdb://{tmp_path / 'state'}", CACHE_BYTES=2 << 20)
    one, two = open_responses(settings, {}), open_responses(settings, {})
    assert one.put(KEY, Passed(1.0), url="/", tags=(), ticket=one.ticket("/"))
    assert two.get(KEY) == Passed(1.0)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["responses"]
    assert two.purge(Purge("all")) == 1
    assert one.get(KEY) is None
    store = store_of(one)
    assert isinstance(store, EmbeddedResponses)
    store.close()


def test_without_its_store_nothing_is_kept_and_nothing_raised() -> None:
    settings = make_settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    responses = open_responses(settings, {})
    assert responses.get(KEY) is None
    assert not responses.put(KEY, Passed(1.0), url="/", tags=(), ticket=responses.ticket("/"))
    with pytest.raises(StoreFault):
        responses.usage()


@pytest.mark.parametrize(
    "wrong", [{"CACHE_BYTES": 1}, {"CACHE_ENTRY_BYTES": -1}, {"CACHE_WORKER_BYTES": -1}]
)
def test_settings_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        make_settings(**wrong)

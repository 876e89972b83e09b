"""What each limit wants when the shared store fails: be decided locally, pass, or refuse."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway import limiter
from gateway.rate_limiting.fallback import FallbackWindows
from gateway.rate_limiting.memory import MemoryWindows
from gateway.rate_limiting.windows import Hit, OnFailure, StoreUnavailable, Window
from tests.rate_limiting.apps import passed, service, statuses, view
from tests.rate_limiting.conftest import MakeClient
from tests.rate_limiting.redis_server import RedisServer, needs_redis, start_redis

NOW = 1000.0
LOCAL = Hit("local", 2, 60)
OPEN = Hit("open", 5, 60, on_failure="open")
CLOSED = Hit("closed", 5, 60, on_failure="closed")


class Gone(MemoryWindows):
    """Windows that cannot be asked."""

    def acquire(self, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
        raise OSError


class Setting:
    """A store that is gone, the local one, and the fallback between them."""

    def __init__(self) -> None:
        self.local = MemoryWindows()
        self.counted: list[int] = []
        self.windows = self.around(self.local)

    def around(self, local: MemoryWindows | FallbackWindows) -> FallbackWindows:
        """A primary that is gone, in front of this store."""
        return FallbackWindows(
            Gone(), local, lambda: self.counted.append(1), pause=1.0, wall=lambda: NOW
        )


@pytest.fixture
def setting() -> Setting:
    """Nothing was asked so far."""
    return Setting()


def test_closed_refuses_and_counts_nothing(setting: Setting) -> None:
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as raised:
            setting.windows.acquire([LOCAL, OPEN, CLOSED])
        assert raised.value.retry == 1.0
    assert setting.local.peek(LOCAL).remaining == 2
    assert len(setting.counted) == 3


def test_open_passes_and_tells_the_full_limit(setting: Setting) -> None:
    for _ in range(9):
        assert setting.windows.acquire([OPEN]) == (True, [Window(5, 60, 0)])
    assert setting.local.peek(OPEN).remaining == 5
    assert len(setting.counted) == 9


@pytest.mark.parametrize(
    ("hit", "told"),
    [
        (Hit("a", 5, 60, burst=20), Window(21, 0, 0)),
        (Hit("a", 5, 60, burst=20, paced=True), Window(21, 0, 0)),
        (Hit("a", 5, 60, ends=NOW + 30), Window(5, 30, 0)),
        (Hit("a", 5, 60, ends=NOW - 30), Window(5, 0, 0)),
    ],
)
def test_open_buckets_and_periods(setting: Setting, hit: Hit, told: Window) -> None:
    assert setting.windows.acquire([replace(hit, on_failure="open")]) == (True, [told])


def test_the_local_store_decides_the_rest(setting: Setting) -> None:
    answers = [setting.windows.acquire([OPEN, LOCAL, OPEN]) for _ in range(3)]
    assert [allowed for allowed, _ in answers] == [True, True, False]
    assert [[window.remaining for window in windows] for _, windows in answers] == [
        [5, 1, 5],
        [5, 0, 5],
        [5, 0, 5],
    ]
    assert len(setting.counted) == 3


@pytest.mark.parametrize("lenient", ["dry", "forced"])
def test_what_refuses_nothing_is_not_closed(setting: Setting, lenient: str) -> None:
    hit = replace(CLOSED, dry=lenient == "dry", forced=lenient == "forced")
    allowed, windows = setting.windows.acquire([hit, LOCAL])
    assert (allowed, [window.remaining for window in windows]) == (True, [5, 1])


def test_closed_means_the_configured_store(setting: Setting) -> None:
    """Behind Redis, the embedded store may fail too: that matters to neither open nor closed."""
    both = setting.around(setting.around(setting.local))
    assert [both.acquire([LOCAL])[0] for _ in range(3)] == [True, True, False]
    assert both.acquire([OPEN])[0]
    with pytest.raises(StoreUnavailable):
        both.acquire([CLOSED])


def test_closed_is_decided_by_a_store_that_answers() -> None:
    windows = FallbackWindows(MemoryWindows(), Gone(), lambda: None)
    answers = [windows.acquire([replace(CLOSED, limit=2)])[0] for _ in range(3)]
    assert answers == [True, True, False]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be maltreated."""
    with start_redis() as server:
        yield server


def client_of(make_client: MakeClient, **settings: Any) -> FlaskClient:
    """Views with a limit of three each that differ in what they want then."""
    orders = service()
    wanted: list[OnFailure] = ["local", "open", "closed"]
    for name in wanted:
        view(orders, f"/{name}", limiter.limit("3/hour", on_failure=name))
    view(
        orders,
        "/both",
        limiter.limit("3/hour", on_failure="open"),
        limiter.limit("2/hour", on_failure="local"),
    )
    return make_client(orders, **settings)


def check_without_store(client: FlaskClient) -> None:
    """How each of them is answered while the store is away."""
    assert statuses(client, "/orders/local", 5) == [200] * 3 + [429] * 2
    assert statuses(client, "/orders/open", 5) == [200] * 5
    assert client.get("/orders/open").headers["RateLimit"].endswith(";r=3;t=3600")
    assert statuses(client, "/orders/both", 4) == [200] * 2 + [429] * 2
    refused = client.get("/orders/closed")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json is not None
    assert refused.json["code"] == "limit_store_unavailable"
    assert refused.content_type == "application/problem+json"


@needs_redis
@pytest.mark.parametrize("way", ["stop", "hang"])
def test_redis_that_goes_and_comes_back(
    make_client: MakeClient, redis: RedisServer, way: str
) -> None:
    client = client_of(make_client, REDIS_URL=redis.url, REDIS_TIMEOUT=0.2)
    for name in ("local", "open", "closed"):
        assert passed(client, f"/orders/{name}", 1) == 1
    getattr(redis, way)()
    check_without_store(client)
    redis.start() if way == "stop" else redis.go_on()
    end = time.monotonic() + 20
    while client.get("/orders/closed").status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.1)
    # Each is decided there again, what was local too.
    for name in ("open", "closed"):
        assert 429 in statuses(client, f"/orders/{name}", 5)
    assert client.get("/readyz").json["limits"]["store"] == "shared"  # type: ignore[index]


@needs_redis
def test_every_decision_without_redis_is_told(make_client: MakeClient, redis: RedisServer) -> None:
    client = client_of(make_client, REDIS_URL=redis.url)
    redis.stop()
    for name in ("local", "open", "closed", "both"):
        client.get(f"/orders/{name}")
    assert client.get("/readyz").json["limits"] == {  # type: ignore[index]
        "store": "local",
        "fallbacks": 4,
    }


def test_the_embedded_store_that_is_gone(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    client = client_of(make_client, STATE_URL=f"lmdb://{folder}")
    assert client.get("/orders/closed").status_code == 200
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("in the way")
    end = time.monotonic() + 20
    while client.get("/orders/closed").status_code != 503:
        assert time.monotonic() < end
    check_without_store(client)


def test_memory_alone_does_not_fail(make_client: MakeClient) -> None:
    client = client_of(make_client, STATE_URL="memory://", WEB_CONCURRENCY=1)
    assert statuses(client, "/orders/closed", 5) == [200] * 3 + [429] * 2

"""What the conformance tests for HTTP caches say of the whole gateway, and where it differs from
them on purpose. They have a program of their own, so nothing here was made to fit them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.caching.conformance import Tried, start_conformance
from tests.support.gunicorn import start_gateway
from tests.support.node import needs_node

pytestmark = needs_node

# They follow a draft, in which such an age made an answer stale; RFC 9111 section 5.1 has it
# ignored, and of several the first one count.
_AGES = (
    *("age-parse-nonnumeric", "age-parse-negative", "age-parse-float", "age-parse-prefix-twoline"),
    *("age-parse-dup-0", "age-parse-dup-0-twoline", "age-parse-dup-old"),
    *("age-parse-parameter", "age-parse-numeric-parameter"),
)
# An outage is answered with an error of the gateway's own, which they do not know for one: they
# look for a field of the backend in it.
_OUTAGES = (
    *("stale-close-must-revalidate", "stale-close-proxy-revalidate"),
    *("stale-close-no-cache", "stale-close-s-maxage=2"),
)
# The backend's Transfer-Encoding is unknown, or its status 999, which is none: 502.
_BROKEN = (
    *("headers-store-Transfer-Encoding", "304-etag-update-response-Content-Range"),
    *("304-etag-update-response-ETag", "304-etag-update-response-Set-Cookie"),
)
# Optional, and not there: answers to POST, parts, negotiation of languages, what Surrogate-Control
# says to one surrogate by its name, a 304 for what is newer than the client's.
_ABSENT = (
    *("method-POST", "vary-normalise-lang-order", "vary-normalise-lang-select"),
    *("partial-store-partial-reuse-partial", "partial-store-partial-reuse-partial-byterange"),
    *("partial-store-partial-reuse-partial-absent", "partial-store-partial-reuse-partial-suffix"),
    *("partial-store-partial-complete", "conditional-lm-fresh-no-lm"),
    *("surrogate-max-age-me-target", "surrogate-max-age-case-insensitive"),
    "surrogate-fresh-cc-nostore",
)
# What sets a cookie is kept for nobody, a 200 with Content-Range is a part, and the gateway lets
# no M-SEARCH pass.
_REFUSED = (
    *("headers-store-Set-Cookie", "other-set-cookie", "headers-store-Content-Range"),
    *("invalidate-M-SEARCH", "invalidate-M-SEARCH-failed", "invalidate-M-SEARCH-cl"),
)
_ALWAYS = {*_AGES, *_OUTAGES, *_BROKEN, *_ABSENT, *_REFUSED}
# Answers belong to the caller, whatever the backend says; nobody asked for it otherwise.
_ALONE = {
    *("other-authorization-public", "other-authorization-must-revalidate"),
    *("other-authorization-smaxage", "other-cookie"),
}
# What they are is told by the operator, not by Authorization.
_SHARED = {"other-authorization"}

# What clients may ask of a cache, where it lets them.
_WISHES = {
    *("ccreq-ma0", "ccreq-ma1", "ccreq-magreaterage", "ccreq-max-stale", "ccreq-max-stale-age"),
    *("ccreq-min-fresh", "ccreq-min-fresh-age"),
    *("ccreq-no-cache", "ccreq-no-cache-lm", "ccreq-no-cache-etag"),
}
_OPEN = {"shared": True, "client_no_cache": True, "stale_if_error": 60}
_FAILING = {"stale-close", "stale-503"}
_HEADS = {"head-writethrough", "head-200-freshness-update", "head-200-update"}


@pytest.fixture(scope="module", params=[("gevent", {}), ("gthread", _OPEN)], ids=["own", "open"])
def tried(request: pytest.FixtureRequest) -> Iterator[tuple[bool, list[Tried]]]:
    """Whether the cache is an open one, and what came of each test, over two workers."""
    worker_class, options = request.param
    with start_conformance() as program:
        env = {
            "TEST_URL": f"http://127.0.0.1:{program.port}",
            "CONFORMANCE_OPTIONS": json.dumps(options),
            "WORKER_THREADS": "80",
            "CONNECT_TIMEOUT": "30",
        }
        with start_gateway(
            "tests.caching.conformance_app:app", worker_class=worker_class, workers=2, env=env
        ) as gateway:
            yield bool(options), program.run(f"http://127.0.0.1:{gateway.port}")
            assert "Traceback" not in gateway.stderr_text()


def _wrong(tried: list[Tried], *, asks: bool) -> dict[str, str]:
    return {one.id: one.wrong for one in tried if one.wrong and (one.kind == "check") is asks}


def test_what_a_cache_has_to_do(tried: tuple[bool, list[Tried]]) -> None:
    is_open, outcomes = tried
    wrong = _wrong(outcomes, asks=False)
    assert wrong.keys() == _ALWAYS | (_SHARED if is_open else _ALONE), sorted(wrong.items())
    assert len(outcomes) - len(wrong) > 300


def test_what_a_cache_may_do(tried: tuple[bool, list[Tried]]) -> None:
    is_open, outcomes = tried
    wrong = _wrong(outcomes, asks=True)
    options: Any = _WISHES | _FAILING
    assert options & wrong.keys() == (set() if is_open else options)
    assert not _HEADS & wrong.keys()

"""A request is gone when it is over: what leads back to itself would stay until the collector runs,
which costs more than the rest of the gateway."""

from __future__ import annotations

import gc
import weakref

import pytest

from gateway import Bulkhead, Cache, CircuitBreaker, Fallback, Policy, Retry
from gateway.transforms import Query, RequestHeaders, StandardHeaders
from tests.support.wsgi import call, make_app, open_service

KEPT = {"Cache-Control": "max-age=60", "Content-Type": "text/plain"}


class Marked(str):
    """Can be seen to be gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("before", [0, 1], ids=["first", "again"])
@pytest.mark.parametrize(
    "policies",
    [
        [],
        [Cache()],
        [Fallback(), Cache(), Bulkhead(), Retry(), CircuitBreaker()],
        [StandardHeaders(), RequestHeaders(set={"X-A": "{query.a}"}), Query(set={"a": "{client}"})],
    ],
    ids=["plain", "kept", "all", "shaped"],
)
def test_a_request_leaves_nothing_for_the_collector(policies: list[Policy], before: int) -> None:
    service, stub = open_service(policies=policies, backend=lambda *_: (200, KEPT, b"ok"))
    app = make_app(service)
    call(app, "/things/imported")
    for _ in range(before):
        call(app, "/things/7")
    gc.collect()
    gc.disable()
    try:
        marked = Marked("192.0.2.9")  # which its record has, too
        gone = weakref.ref(marked)
        assert call(app, "/things/7", REMOTE_ADDR=marked).status == 200
        del marked
        stub.requests.clear()
        assert gone() is None
    finally:
        gc.enable()

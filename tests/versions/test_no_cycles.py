"""A request for a version is gone when it is over, whatever became of it."""

from __future__ import annotations

import gc
import weakref

import pytest

from gateway import Version
from tests.support.wsgi import call, make_app
from tests.versions.support import versioned


class Marked(str):
    """Can be seen to be gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("label", ["v1", "v9", "v2"], ids=["served", "unknown", "ended"])
def test_a_request_leaves_nothing_for_the_collector(label: str) -> None:
    ended = Version("v2", sunset="2020-01-01", after_sunset="refuse")
    service, stub = versioned(Version("v1", deprecated="2020-01-01"), ended)
    app = make_app(service)
    path = f"/api/{label}/users/7"
    call(app, path)
    gc.collect()
    gc.disable()
    try:
        marked = Marked("192.0.2.9")  # which its record has, too
        gone = weakref.ref(marked)
        assert call(app, path, REMOTE_ADDR=marked).header("X-Request-ID")
        del marked
        stub.requests.clear()
        assert gone() is None
    finally:
        gc.enable()

"""`flask gateway explain`: limits, and what is left of them."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from gateway.rate_limiting.concurrency.limits import ConcurrencyLimit
from gateway.state import EmbeddedStore
from gateway.testing import ScriptedUpstream
from tests.explaining.app import LIMIT, make
from tests.explaining.support import WRITER, Explain, told
from tests.rate_limiting.concurrency.conftest import embedded_worker
from tests.support.wsgi import call


def test_limits_and_what_is_left_of_them(explain: Explain) -> None:
    found = explain("GET", "/things/1", "--address", "203.0.113.9")
    limits = {one["name"]: one for one in found["limits"]}
    assert limits["things-60"] == {
        "kind": "rate",
        "name": "things-60",
        "limit": f"things {LIMIT}/60s",
        "whose": "ip:203.0.113.9",
        "left": LIMIT,
        "reset": 60.0,
        "retry": 0,
    }
    assert (limits["things-concurrency"]["left"], limits["things-concurrency"]["whose"]) == (
        3,
        "everybody",
    )
    assert limits["logins-60"]["kind"] == "failed logins"
    found = explain("POST", "/orders/7/refunds", *WRITER)
    paced = next(one for one in found["limits"] if "nodelay" in one["limit"])
    assert (paced["left"], paced["wait"], paced["whose"]) == (3, 0, "user:ada")


def test_a_limit_that_is_used_up(served: Flask, explain: Explain) -> None:
    for _ in range(LIMIT):
        assert call(served, "/things/limited", REMOTE_ADDR="203.0.113.77").status == 200
    found = explain("GET", "/things/limited", "--address", "203.0.113.77")
    assert told(found) == ("refused", 429, "rate_limited")
    limit = next(one for one in found["limits"] if one["name"] == "things-60")
    assert (limit["left"], 0 < limit["retry"] <= 60) == (0, True)
    assert 0 < int(dict(found["answer"]["headers"])["Retry-After"]) <= 60


def test_requests_at_the_same_time(shared: Path, explain: Explain) -> None:
    worker = embedded_worker(EmbeddedStore(shared))
    claim = ConcurrencyLimit("things", 3).claim("")
    tokens = [worker.take(claim)[0] for _ in range(3)]
    found = explain("GET", "/things/busy")
    assert told(found) == ("refused", 429, "concurrency_limited")
    limit = next(one for one in found["limits"] if one["kind"] == "concurrency")
    assert (limit["limit"], limit["left"]) == ("things 3 at once", 0)
    for taken in tokens:
        worker.free(taken, claim)
    assert explain("GET", "/things/busy")["outcome"] == "forwarded"


def test_a_store_of_its_own_is_said_to_be_one(listener: ScriptedUpstream, explain: Explain) -> None:
    found = explain("GET", "/things/1", to=make(listener.url, "memory://"))
    assert any("STATE_URL=memory://" in note for note in found["notes"])

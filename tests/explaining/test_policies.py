"""`flask gateway explain`: policies, circuits, instances and kept answers."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from gateway import Cache, Split
from gateway.state import EmbeddedState, EmbeddedStore
from gateway.testing import ScriptedUpstream
from tests.explaining.support import READER, WRITER, Explain, holding, told
from tests.support.wsgi import call, make_app, open_service


def test_policies_in_order(explain: Explain) -> None:
    found = explain("POST", "/orders/7/refunds", *WRITER)
    policies = [(one["policy"], one.get("view")) for one in found["policies"]]
    assert policies == [
        ("Deadline(seconds=2)", None),
        ("Fallback()", None),
        ("Retry(attempts=3)", "orders.refund"),
        ("CircuitBreaker(failures=2, ratio=None)", None),
    ]
    assert found["policies"][3]["circuit"]["state"] == "closed"
    (change,) = found["policies"][0]["does"]
    assert change.startswith("+ X-Request-Deadline: ")
    assert found["times"]["deadline"] == 2
    assert any("a view answers" in note for note in found["notes"])


def test_an_open_circuit(shared: Path, explain: Explain) -> None:
    state = EmbeddedState(EmbeddedStore(shared))
    now = state.clock()
    value = {"open": True, "until": now + 20, "failures": 0, "expires": now + 90}
    state.change("circuit/orders", lambda _: value)
    try:
        found = explain("GET", "/orders/7", *READER)
    finally:
        state.change("circuit/orders", lambda _: None)
    assert told(found) == ("refused", 503, "circuit_open")
    circuit = found["policies"][3]
    assert (circuit["refuses"], circuit["circuit"]["state"]) == (True, "open")
    assert 15 < int(dict(found["answer"]["headers"])["Retry-After"]) <= 20
    assert "instead, Fallback may answer" in found["notes"]


def test_instances_that_are_not_well(
    listener: ScriptedUpstream, shared: Path, explain: Explain
) -> None:
    state = EmbeddedState(EmbeddedStore(shared))
    now = state.clock()
    good = listener.url.removeprefix("http://")
    key = f"upstream/several/health/{good}"
    ill = {"healthy": False, "since": now - 9, "checked": now - 1, "expires": now + 60}
    state.change(key, lambda _: {**ill, "reason": "status 500", "streak": 0})
    found = explain("GET", "/several")
    assert (found["outcome"], found["target"]["chosen"]) == ("forwarded", ["127.0.0.2:1"])
    states = {one["target"]: one for one in found["target"]["instances"]}
    assert (states[good]["used"], states[good]["health"]["reason"]) == (False, "status 500")
    # An open circuit of the other one leaves none.
    circuit = {"open": True, "until": now + 20, "failures": 0, "expires": now + 90}
    state.change("circuit/several/127.0.0.2:1", lambda _: circuit)
    assert told(explain("GET", "/several")) == ("refused", 503, "circuit_open")
    state.change(key, lambda _: None)
    found = explain("GET", "/several")
    assert (found["outcome"], found["target"]["chosen"]) == ("forwarded", [good])
    state.change("circuit/several/127.0.0.2:1", lambda _: None)
    assert explain("GET", "/several")["target"]["chosen"] == sorted([good, "127.0.0.2:1"])


def test_a_kept_answer(served: Flask, explain: Explain) -> None:
    path = "/things/kept?page=1&x=9"
    words = ["--host", "gateway.example"]
    before = explain("GET", path, *words)
    assert (before["outcome"], before["cache"]["answer"]) == ("forwarded", None)
    assert call(served, path, REMOTE_ADDR="203.0.113.1").status == 200
    found = explain("GET", path, *words)
    assert (found["outcome"], found["kept_status"], found["code"]) == ("kept", 200, 0)
    cache = found["cache"]
    assert cache["key"] == before["cache"]["key"]
    assert len(cache["key"]) == 32
    assert (cache["answer"]["status"], cache["answer"]["use"]) == (200, "fresh")
    assert 0 <= cache["answer"]["age"] < 60
    assert cache["url"] == "/things/kept?page=1"
    assert cache["differs_by"] == [
        "http://gateway.example",
        "the path",
        "the parameters page",
        "the field X-Tenant",
        "not the caller: shared",
    ]
    # For others it is another key.
    other = explain("GET", path, *words, "--header", "X-Tenant: a")
    assert (other["outcome"], other["cache"]["answer"]) == ("forwarded", None)
    assert other["cache"]["key"] != cache["key"]
    assert explain("GET", "/things/kept?page=1&x=8", *words)["cache"]["key"] == cache["key"]
    wanted = explain("GET", "/things/none", "--header", "Cache-Control: only-if-cached")
    assert told(wanted) == ("refused", 504, "only_if_cached")
    posted = explain("POST", path, *words, *holding("thing:write"))
    assert posted["cache"]["key"] is None


def test_what_is_kept_where_a_request_is_handed_on(explain: Explain, tmp_path: Path) -> None:
    """The other service keeps apart what several hand on to it."""
    fields = {"Cache-Control": "max-age=60", "Content-Length": "2"}
    following, _ = open_service(
        name="next", prefix="/next", backend=lambda *_: (200, fields, b"ok"), policies=[Cache()]
    )
    service, _ = open_service(policies=[Split("next", percent=100)])
    made = make_app(service, following, STATE_URL=f"lmdb://{tmp_path}")
    assert call(made, "/things/7").header("X-Cache") == ["MISS"]
    found = explain("GET", "/things/7", "--host", "gateway.example", to=made)
    assert (found["outcome"], found["kept_status"]) == ("kept", 200)
    assert "what policies in front made of it" in found["cache"]["differs_by"]

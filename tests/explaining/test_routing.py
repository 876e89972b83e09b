"""`flask gateway explain`: which rule has a path, and why others lost."""

from __future__ import annotations

from tests.explaining.support import READER, WRITER, Explain, others


def test_why_others_lost(explain: Explain) -> None:
    found = explain("GET", "/orders/7", *READER)
    assert others(found) == {
        "second.forward": "needs API-Version: 2, and the request has none",
        "orders.refund": "the path ends before /refunds",
        "orders.owned": "the path ends before /owned",
    }
    found = explain("GET", "/orders/7", *READER, "--header", "API-Version: 3")
    assert others(found)["second.forward"].endswith("has another")
    found = explain("GET", "/orders/7", *READER, "--header", "API-Version: 2")
    assert found["route"]["because"] == "API-Version: 2"
    assert others(found)["orders.forward"] == "it is less exact, or comes later"


def test_why_a_view_keeps_its_path(explain: Explain) -> None:
    found = explain("GET", "/orders/7/refunds", *READER)
    assert found["route"]["claimed_by"] == ["orders.refund (POST)"]
    assert others(found)["orders.refund"] == "takes POST, not GET"
    assert others(found)["orders.forward"].startswith("a view has the path")
    assert dict(found["answer"]["headers"])["Allow"] == "OPTIONS, POST"
    found = explain("POST", "/orders/x/refunds", *WRITER)
    assert others(found)["orders.refund"] == "'x' is no int for order_id"


def test_what_a_path_nobody_has_is_like(explain: Explain) -> None:
    found = explain("GET", "/things2/7")
    assert others(found) == {}  # nothing begins like it
    found = explain("GET", "/orders/7/refund", *READER)
    assert others(found)["orders.refund"] == "'refund' is not 'refunds'"

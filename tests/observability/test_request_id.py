"""One id for a request on all its way."""

from __future__ import annotations

import re

import pytest

from gateway.observability.request_id import request_id
from tests.support.wsgi import call, make_app, open_service


@pytest.mark.parametrize("given", ["a" * 8, "A-b_c.0123", "z" * 128])
def test_well_formed_id_is_taken_over(given: str) -> None:
    assert request_id({"HTTP_X_REQUEST_ID": given}) == given


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            "a" * 7,
            "a" * 129,
            "a b c d e",
            "abcdefgh\n",
            "abcdefgh\r\nX: 1",
            "äbcdefgh",
            "a,bcdefgh",
        ),
        *('"abcdefgh"', "<script>x", "../../etc"),
    ],
)
def test_other_ids_are_replaced(given: str) -> None:
    made = request_id({"HTTP_X_REQUEST_ID": given})
    assert re.fullmatch("[0-9a-f]{32}", made)


def test_made_ids_differ() -> None:
    assert len({request_id({}) for _ in range(100)}) == 100


def test_upstream_and_client_see_the_same_id() -> None:
    service, stub = open_service()
    app = make_app(service)
    answers = [
        call(app, "/things/x", headers=[("X-Request-ID", given)]) for given in ("given-id-1", "bad")
    ]
    for answer, sent in zip(answers, stub.requests, strict=True):
        assert answer.header("X-Request-ID") == [sent.headers["X-Request-ID"]]
    assert stub.requests[0].headers["X-Request-ID"] == "given-id-1"
    assert stub.requests[1].headers["X-Request-ID"] != "bad"

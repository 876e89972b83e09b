"""How what a transform does becomes a handler."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from gateway.errors import ProtocolViolation, Refusal
from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.transforms.transform import Transform
from tests.support.outline import answer, outline


class Refusing(Transform):
    """Lets no request on."""

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        raise Refusal("No.")


class Rejecting(Transform):
    """Lets no answer back."""

    def returned(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        raise ProtocolViolation("No.")


@dataclass(frozen=True)
class Both(Transform):
    """Notes which requests it sees on the way back."""

    seen: list[str]

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        return replace(request, target="/changed")

    def returned(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        self.seen.append(request.target)
        return replace(response, status=201)


class Body:
    """A body that knows whether it was closed."""

    closed = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        raise StopIteration

    def close(self) -> None:
        self.closed = True


def test_the_backend_gets_the_changed_request_and_the_way_back_sees_the_one_that_came() -> None:
    asked: list[UpstreamRequest] = []
    both = Both([])

    def backend(request: UpstreamRequest) -> UpstreamResponse:
        asked.append(request)
        return answer(200)

    response = both(backend)(outline(target="/sent"))
    assert [one.target for one in asked] == ["/changed"]
    assert both.seen == ["/sent"]
    assert response.status == 201


def test_a_refused_request_is_not_sent() -> None:
    handler = Refusing()(lambda request: pytest.fail("it was sent"))
    with pytest.raises(Refusal):
        handler(outline())


def test_a_rejected_answer_is_closed() -> None:
    body = Body()
    handler = Rejecting()(lambda request: UpstreamResponse(200, "", [], body))
    with pytest.raises(ProtocolViolation):
        handler(outline())
    assert body.closed


def test_one_that_does_nothing_is_no_transform() -> None:
    with pytest.raises(TypeError, match="neither"):
        Transform()(lambda request: answer())

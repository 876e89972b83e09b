"""Transforms beside a cache: each request gets the answer to what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import (
    Cache,
    Handler,
    Mirror,
    Policy,
    Split,
    UpstreamRequest,
    UpstreamResponse,
    parallel,
)
from gateway.authentication import Identity
from gateway.exchange import early_of
from gateway.policy import chain
from gateway.transforms import Query, RequestHeaders, ResponseHeaders, StandardHeaders
from tests.caching.handling import Backend, cached, header, label, read, says
from tests.support.outline import make_context, outline, requester
from tests.support.wsgi import call, make_app, open_service, stubbed

REQUESTS: list[Policy] = [
    *(RequestHeaders(set={"X-Out": f"<{{{name}}}>"}) for name in ("client", "header.x-in")),
    *(RequestHeaders(append={"X-Out": f"{{{name}}}"}) for name in ("identity.subject", "query.p")),
    RequestHeaders(add={"X-Out": "{identity.claims.tenant}{timestamp}"}, wall=lambda: 7.0),
    RequestHeaders(rename={"X-In": "X-Out"}),
    RequestHeaders(rename={"X-In": "Authorization"}),
    RequestHeaders(remove=["X-In"], set={"X-Out": "{path}{method}{service}"}),
    *(Query(set={"out": f"<{{{name}}}>"}) for name in ("client", "identity.subject", "query.p")),
    Query(append={"out": "{header.x-in}"}),
    Query(add={"out": "{identity.claims.tenant}"}),
    Query(rename={"p": "out"}),
    Query(remove=["p"], add={"out": "same"}),
]
CACHES: list[dict[str, Any]] = [
    {"shared": shared, "query": query, "sort_query": query is None}
    for shared, query in product([True, False], [None, ["q"], ["q", "out"]])
]


@dataclass(frozen=True)
class Ask:
    """Who asks for what."""

    who: str
    client: str
    sent: str | None
    query: str

    def outlined(self) -> UpstreamRequest:
        """The request as it comes to the first policy."""
        identity = Identity(self.who, claims={"tenant": self.who[:1]}) if self.who else None
        headers = [] if self.sent is None else [("X-In", self.sent)]
        target = f"/things/7?{self.query}"
        asker = requester(target, headers, identity=identity)
        request = outline(target=target, headers=headers, client=self.client, asker=asker)
        request.exchange.user = self.who
        return request


ASKS = st.builds(
    Ask,
    st.sampled_from(["", "ada", "adam", "bob"]),
    st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    st.sampled_from([None, "", "a", "b"]),
    st.sampled_from(["", "p=a", "p=b", "q=a", "q=a&p=a", "p=a&q=b&p=b", "%70=a"]),
)


def reflected(request: UpstreamRequest) -> bytes:
    """What a backend sees of what transforms write, and of what always counts."""
    pairs = request.target.partition("?")[2].split("&")
    told = [pair for pair in pairs if pair.startswith(("out=", "q="))]
    fields = [(n, v) for n, v in request.headers if n.lower() in ("x-out", "authorization")]
    return repr((fields, sorted(told))).encode()


def answering(request: UpstreamRequest) -> UpstreamResponse:
    return says("public, max-age=60", reflected(request))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3),
    st.sampled_from(CACHES),
    st.lists(ASKS, min_size=2, max_size=12),
)
def test_everybody_gets_what_was_made_for_a_request_like_his(
    transforms: list[Policy], options: dict[str, Any], asks: list[Ask]
) -> None:
    context = make_context()
    keeping = chain(transforms, cached(answering, **options), context)
    asking = chain(transforms, answering, context)
    for ask in asks:
        assert read(keeping(ask.outlined())) == read(asking(ask.outlined()))


@pytest.mark.parametrize("ask", [Ask("ada", "192.0.2.1", "a", "p=a&q=b")])
@pytest.mark.parametrize("transform", REQUESTS, ids=repr)
def test_the_same_request_is_answered_from_what_is_kept(transform: Policy, ask: Ask) -> None:
    backend = Backend(answering)
    handler = chain([transform, StandardHeaders()], cached(backend, shared=True), make_context())
    assert [label(handler(ask.outlined())) for _ in range(2)] == ["MISS", "HIT"]


def test_parameters_that_are_taken_out_in_front_make_no_difference() -> None:
    backend = Backend(answering)
    handler = Query(remove=["utm_source"])(cached(backend, shared=True))
    asks = [Ask("", "", None, f"q=1&utm_source={one}") for one in ("mail", "web")]
    assert [label(handler(one.outlined())) for one in asks] == ["MISS", "HIT"]
    assert [one.target for one in backend.asked] == ["/things/7?q=1"]


def test_behind_a_cache_requests_are_changed_for_the_backend_alone() -> None:
    backend = Backend(answering)
    changing = chain(
        [RequestHeaders(set={"X-Out": "edge"}), Query(set={"q": "1"})], backend, CONTEXT
    )
    handler = cached(changing, shared=True)
    assert [label(handler(outline(target="/things/7?q=2"))) for _ in range(2)] == ["MISS", "HIT"]
    assert reflected(backend.asked[0]) == b"([('X-Out', 'edge')], ['q=1'])"


CONTEXT = make_context()


def test_fields_by_which_answers_differ_are_those_that_the_backend_got() -> None:
    def by_language(request: UpstreamRequest) -> UpstreamResponse:
        return says("max-age=60", request.field("x-lang").encode(), vary="X-Lang")

    handler = RequestHeaders(add={"X-Lang": "en"})(cached(by_language))
    asked = [[], [("X-Lang", "de")], [("X-Lang", "")], [("x-lang", "de")]]
    answers = [handler(outline(headers=[*one])) for one in asked]
    assert [read(one) for one in answers] == [b"en", b"de", b"en", b"de"]
    assert [label(one) for one in answers] == ["MISS", "MISS", "HIT", "HIT"]


@pytest.mark.parametrize("place", ["in front", "behind"])
def test_answers_are_changed_each_time_or_as_they_are_kept(place: str) -> None:
    times = iter(range(9))
    each = ResponseHeaders(set={"X-Number": "{timestamp}"}, wall=lambda: next(times))
    always = ResponseHeaders(set={"Cache-Control": "max-age=60"}, append={"X-Said": "1"})
    backend = Backend(lambda request: says(None))
    if place == "in front":
        handler: Handler = each(always(cached(lambda request: says("max-age=60"))))
    else:
        handler = each(cached(always(backend)))
    answers = [handler(outline()) for _ in range(2)]
    assert [label(one) for one in answers] == ["MISS", "HIT"]
    assert [header(one, "X-Number") for one in answers] == ["0", "1"]
    assert [header(one, "X-Said") for one in answers] == ["1", "1"]


def test_a_condition_that_is_taken_away_or_written_is_the_one_that_counts() -> None:
    def handler(transform: Policy) -> Handler:
        return chain([transform], cached(lambda request: says(etag='"a"')), CONTEXT)

    asking = [("If-None-Match", '"a"'), ("Range", "bytes=0-1")]
    plain = handler(RequestHeaders(remove=["If-None-Match", "Range"]))
    assert [plain(outline(headers=[*asking])).status for _ in range(2)] == [200, 200]
    written = handler(RequestHeaders(set={"If-None-Match": '"a"'}))
    assert [written(outline()).status for _ in range(2)] == [304, 304]


def test_none_is_answered_before_its_answer_is_changed() -> None:
    inner = cached(lambda request: says())
    assert early_of(inner) is not None
    assert early_of(ResponseHeaders(set={"X-A": "1"})(inner)) is None
    assert early_of(RequestHeaders(set={"X-A": "1"})(inner)) is None


def test_a_service_keeps_apart_what_others_made_of_requests_for_it() -> None:
    """Two services of one prefix, each with a constant of its own in front of a third one."""

    def backend(_method: str, _url: str, headers: Any, _body: bytes) -> tuple[int, Any, bytes]:
        fields = {"Cache-Control": "max-age=60", "Content-Length": "1"}
        return 200, fields, headers["X-Channel"].encode()

    following, stub = stubbed("next", None, backend, policies=[Cache()])  # type: ignore[arg-type]  # no paths
    services = [
        open_service(
            name=name,
            policies=[RequestHeaders(set={"X-Channel": name}), Split("next", percent=100)],
            headers=headers,
        )[0]
        for name, headers in (("a", {"X-App": "1"}), ("b", None))
    ]
    app = make_app(*services, following)
    asked = [call(app, "/things/7", headers=fields) for fields in ([("X-App", "1")], []) * 2]
    assert [one.body for one in asked] == [b"a", b"b", b"a", b"b"]
    assert len(stub.requests) == 2


def test_what_a_copy_is_answered_is_for_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "start", lambda task: (task(), True)[1])
    mirrored = ("X-Mirrored", "true")

    def backend(_method: str, _url: str, headers: Any, _body: bytes) -> tuple[int, Any, bytes]:
        copy = mirrored[0] in headers
        return 200, {"Cache-Control": "max-age=60", "Content-Length": "1"}, b"01"[copy : copy + 1]

    following, stub = stubbed("next", None, backend, policies=[Cache()])  # type: ignore[arg-type]  # no paths
    policies = [Mirror("next"), Split("next", percent=0, force_header="X-Next")]
    service, _ = open_service(policies=policies)
    app = make_app(service, following)
    call(app, "/things/7")
    assert mirrored in stub.requests[-1].headers.items()
    assert call(app, "/things/7", headers=[("X-Next", "always")]).body == b"0"

"""Fields of requests and answers: what is changed, in which order, and what must not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway import Cache, ConfigurationError, Fallback, ForwardAuth, Retry
from gateway.authentication import Identity
from gateway.exchange import Headers
from gateway.policy import policy_faults
from gateway.transforms import RequestHeaders, ResponseHeaders
from tests.support.outline import answer, make_context, outline, requester
from tests.support.wsgi import call, make_app, open_service

SENT = [("Host-Like", "h"), ("X-A", "1"), ("X-B", "2"), ("x-a", "3"), ("X-Empty", "")]


def sent_on(transform: RequestHeaders, headers: Headers | None = None, **told: Any) -> Headers:
    """The fields that a request has behind it."""
    fields = [*SENT] if headers is None else headers
    return transform.outlined(outline(headers=fields, **told)).headers


def passed_back(transform: ResponseHeaders, headers: Headers, status: int = 200) -> Headers:
    return transform.returned(outline(), answer(status, headers=headers)).headers


CASES: list[tuple[dict[str, Any], Headers]] = [
    ({"remove": ["x-A"]}, [SENT[0], SENT[2], SENT[4]]),
    ({"remove": ["X-None"]}, SENT),
    ({"rename": {"x-a": "X-New"}}, [SENT[0], ("X-New", "1"), SENT[2], ("X-New", "3"), SENT[4]]),
    ({"rename": {"X-A": "X-B"}}, [SENT[0], ("X-B", "1"), ("X-B", "3"), SENT[4]]),
    ({"rename": {"X-None": "X-B"}}, SENT),
    ({"set": {"X-A": "9"}}, [SENT[0], SENT[2], SENT[4], ("X-A", "9")]),
    ({"set": {"X-A": ""}}, [SENT[0], SENT[2], SENT[4], ("X-A", "")]),
    ({"set": {"X-A": "{query.none}"}}, [SENT[0], SENT[2], SENT[4]]),
    ({"add": {"X-A": "9", "X-C": "8"}}, [*SENT, ("X-C", "8")]),
    ({"add": {"x-empty": "9"}}, [*SENT[:4], ("x-empty", "9")]),
    ({"add": {"X-C": "{query.none}"}}, SENT),
    ({"append": {"X-A": "9"}}, [*SENT, ("X-A", "9")]),
    ({"append": {"X-A": "{query.none}"}}, SENT),
    (
        {
            "remove": ["X-B", "X-Empty", "Host-Like"],
            "rename": {"X-A": "X-B"},
            "set": {"X-B": "set"},
            "add": {"X-B": "added", "X-A": "added"},
            "append": {"X-A": "appended"},
        },
        [("X-B", "set"), ("X-A", "added"), ("X-A", "appended")],
    ),
]


@pytest.mark.parametrize(("options", "wanted"), CASES, ids=lambda one: str(one)[:40])
def test_fields_are_changed_alike_both_ways(options: dict[str, Any], wanted: Headers) -> None:
    assert sent_on(RequestHeaders(**options)) == wanted
    assert passed_back(ResponseHeaders(**options), [*SENT]) == wanted


def test_what_it_is_given_stays_as_it_was() -> None:
    request, response = outline(headers=[*SENT]), answer(headers=[*SENT])
    everything: dict[str, Any] = {"remove": ["X-A"], "append": {"X-B": "9"}}
    RequestHeaders(**everything).outlined(request)
    ResponseHeaders(**everything).returned(request, response)
    assert request.headers == response.headers == SENT


def test_templates_are_of_the_request_and_its_answer() -> None:
    asker = requester(identity=Identity("ada"))
    transform = RequestHeaders(set={"X-Who": "{identity.subject}", "X-Was": "{header.x-who}"})
    fields = sent_on(transform, [("X-Who", "forged")], asker=asker)
    assert fields == [("X-Who", "ada"), ("X-Was", "forged")]
    told = ResponseHeaders(set={"X-Told": "{status} {method}"}, monotonic=lambda: 0.0)
    assert passed_back(told, [], 404) == [("X-Told", "404 GET")]


def test_cookies_stay_apart() -> None:
    cookies = [("Set-Cookie", "a=1"), ("set-cookie", "b=2; Expires=Thu, 01 Jan 2026 00:00:00 GMT")]
    transform = ResponseHeaders(append={"Set-Cookie": "c=3"}, remove=["Server"])
    assert passed_back(transform, cookies) == [*cookies, ("Set-Cookie", "c=3")]


def test_an_upstream_cannot_have_what_is_written_taken_away() -> None:
    fields = [
        ("Connection", "X-Frame-Options, X-Gone, Transfer-Encoding"),
        ("X-Gone", "1"),
        ("Transfer-Encoding", "chunked"),
    ]
    transform = ResponseHeaders(set={"X-Frame-Options": "DENY"})
    assert passed_back(transform, fields) == [fields[2], ("X-Frame-Options", "DENY")]
    usual = [("Connection", "keep-alive"), ("X-Kept", "1")]
    assert passed_back(transform, usual) == [*usual, ("X-Frame-Options", "DENY")]


# -- what is wrong, told at start -----------------------------------------------------------------


def faults(*policies: Any, told: frozenset[str] = frozenset()) -> list[str]:
    return policy_faults(policies, replace(make_context(), told=told))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "changes nothing"),
        ({"remove": "X-A"}, "remove must be names"),
        ({"remove": {"X-A": "1"}}, "remove must be names"),
        ({"set": ["X-A:1"]}, "set must be a mapping"),
        ({"set": {"X-A": 1}}, "X-A must be text"),
        ({"rename": {"X-A": None}}, "rename must give names"),
        ({"set": {"X A": "1"}}, "'X A' is no name"),
        ({"set": {"X-A:": "1"}}, "no name"),
        ({"remove": ["Ünicode"]}, "no name"),
        ({"rename": {"X-A": "X-B\r\nX-C"}}, "no name"),
        ({"set": {"X-A": "{nobody}"}}, "X-A has {nobody}, which is unknown"),
        ({"set": {"X-A": "1", "x-a": "2"}}, "x-a is there twice"),
        ({"rename": {"X-A": "X-C", "X-B": "x-c"}}, "x-c is there twice"),
        ({"rename": {"X-A": "X-B", "X-B": "X-C"}}, "x-b is there twice"),
        ({"append": {"Content-Type": "a/b"}}, "one Content-Type only"),
    ],
)
def test_faults(options: dict[str, Any], told: str) -> None:
    for kind in (RequestHeaders, ResponseHeaders):
        assert any(told in fault for fault in faults(kind(**options))), kind


OWN = ["Connection", "TE", "Upgrade", "Content-Length", "transfer-encoding", "Via"]
OWN += ["Keep-Alive", "X-Request-ID", "Proxy-Authorization"]
OF_REQUESTS = [
    "Host",
    "X-Forwarded-For",
    "X-Forwarded-Anything",
    "Forwarded",
    "X-User-ID",
    "X-User_ID",
]
OF_REQUESTS += ["x-user-roles", "X_User_Permissions", "X-HTTP-Method-Override", "Client-Cert"]
OF_REQUESTS += ["X-Token-Subject", "X-Key-Owner", "X-Original-URL", "Expect", "X-Auth-Told"]


@pytest.mark.parametrize(
    "options",
    [
        lambda name: {"remove": [name]},
        lambda name: {"rename": {name: "X-New"}},
        lambda name: {"rename": {"X-Old": name}},
        lambda name: {"set": {name: "1"}},
        lambda name: {"add": {name: "1"}},
        lambda name: {"append": {name: "1"}},
    ],
    ids=["remove", "rename", "onto", "set", "add", "append"],
)
def test_the_gateways_own_fields_are_left_to_it(options: Any) -> None:
    told = frozenset({"x-auth-told"})
    for name in OWN + OF_REQUESTS:
        found = faults(RequestHeaders(**options(name)), told=told)
        assert any("gateway's own" in fault for fault in found), name
    for name in OWN:
        found = faults(ResponseHeaders(**options(name)))
        assert any("gateway's own" in fault for fault in found), name


def test_a_client_cannot_tell_where_it_is_by_another_name() -> None:
    assert faults(RequestHeaders(set={"X-Real-IP": "{client}"})) == []
    (fault,) = faults(RequestHeaders(rename={"X-Any": "X-Real-IP"}))
    assert "client's word" in fault


def test_credentials_and_conditions_may_be_changed() -> None:
    options: dict[str, Any] = {
        "remove": ["Accept-Encoding", "Range", "Cookie"],
        "set": {"Authorization": "Basic eDp5", "If-None-Match": '"a"', "X-API-Key": "k"},
    }
    assert faults(RequestHeaders(**options)) == []


def test_values_are_not_shown() -> None:
    transform = RequestHeaders(set={"Authorization": "Bearer s3cret"}, remove=["X-A"])
    assert repr(transform) == "RequestHeaders(remove=['X-A'], set=['Authorization'])"


@pytest.mark.parametrize(
    "transform",
    [
        RequestHeaders(set={"X-Who": "{identity.subject}"}),
        RequestHeaders(add={"X-Who": "at {client}"}),
        RequestHeaders(append={"X-Q": "{query.q}"}),
        RequestHeaders(rename={"X-Old": "X-New"}),
        RequestHeaders(set={"Range": "bytes=0-9"}),
        ResponseHeaders(set={"X-Who": "{identity.subject}"}),
        ResponseHeaders(set={"X-When": "{timestamp}"}),
    ],
    ids=repr,
)
def test_what_differs_by_request_stands_before_what_keeps_answers(transform: Any) -> None:
    (fault,) = faults(Cache(), transform)
    assert f"{type(transform).__name__} must come before Cache: what" in fault
    assert faults(transform, Cache()) == []
    # What asks for a part makes no part of what `Fallback(stale=True)` keeps.
    told = faults(Fallback(), transform)
    assert bool(told) is ("Range" not in getattr(transform, "set", {}))
    assert faults(transform, Fallback(), Cache()) == []


@pytest.mark.parametrize(
    "transform",
    [
        RequestHeaders(set={"X-Gateway": "edge", "X-Time": "{timestamp} {request_id}"}),
        RequestHeaders(remove=["Cookie", "Range"]),
        ResponseHeaders(set={"Cache-Control": "max-age=60", "X-Service": "{service}"}),
        ResponseHeaders(rename={"X-Old": "X-New"}),
    ],
    ids=repr,
)
def test_all_else_may_stand_behind_it(transform: Any) -> None:
    assert faults(Cache(), transform) == []


def test_requests_are_changed_once_and_answers_wherever_one_likes() -> None:
    assert "per request" in faults(Retry(), RequestHeaders(remove=["X-A"]))[0]
    assert faults(Retry(), ResponseHeaders(remove=["X-A"])) == []


# -- in an application ----------------------------------------------------------------------------


def test_what_the_gateway_writes_stays_its_own() -> None:
    policies = [
        RequestHeaders(set={"X-Service": "order-service", "X-Id": "{request_id}"}),
        ResponseHeaders(set={"X-Frame-Options": "DENY"}, remove=["Server"]),
    ]
    service, stub = open_service(policies=policies)
    app = make_app(service)
    sent = [("X-Request-ID", "0123456789"), ("Connection", "X-Service"), ("X-Service", "forged")]
    answered = call(app, "/things/7", headers=sent)
    assert stub.requests[0].headers["X-Service"] == "order-service"
    assert stub.requests[0].headers["X-Id"] == "0123456789"
    assert answered.header("X-Request-ID") == ["0123456789"]
    assert answered.header("X-Frame-Options") == ["DENY"]


def test_what_a_scheme_tells_backends_is_not_for_clients_to_say() -> None:
    asked = ForwardAuth("http://auth.internal", returns=["X-Account"], subject="X-Account")
    service, _ = open_service(
        authentication=[asked], policies=[RequestHeaders(rename={"X-Anything": "X-Account"})]
    )
    with pytest.raises(ConfigurationError, match="X-Account is the gateway's own to write"):
        make_app(service)

"""Templates: what they are made of, and that nothing a client says breaks where they are put."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st

from gateway.authentication import Identity
from gateway.authentication.identity import encoded
from gateway.exchange import Headers, UpstreamRequest
from gateway.transforms import RequestHeaders
from gateway.transforms.encodings import FIELD, QUERY, Encoding
from gateway.transforms.sources import NAMES, Clocks
from gateway.transforms.templates import Template, TemplateError, compile_template
from tests.support.outline import answer, outline, requester
from tests.support.wsgi import call, make_app, open_service

CLOCKS = Clocks(lambda: 1_700_000_000.25, lambda: 50.0)
ADA = Identity(
    "ada",
    roles=("admin", "a,b"),
    plan="gold",
    scheme="jwt",
    claims={"tenant": "acme", "n": 7, "yes": True, "list": ["a", 1], "of": {"x": 1}, "none": None}
    | {"https://example.com/team": "blue"},
)


def template(text: str, encoding: Encoding = FIELD, *, answers: bool = False) -> Template:
    return compile_template(text, encoding, CLOCKS, answers=answers)


def asking(
    target: str = "/things/7?q=a&q=b", headers: Headers | None = None, *, who: Identity | None = ADA
) -> UpstreamRequest:
    return outline(target=target, headers=headers, asker=requester(target, headers, identity=who))


def value(text: str, request: UpstreamRequest | None = None, encoding: Encoding = FIELD) -> str:
    return template(text, encoding).render(request or asking(), None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("{{{method}}}", "{GET}"),
        ("a-{{b}}", "a-{b}"),
        ("{request_id}", "a-request-id"),
        ("{timestamp}", "1700000000"),
        ("{timestamp_ms}", "1700000000250"),
        ("{time}", "2023-11-14T22:13:20Z"),
        ("{path}", "/things/7"),
        ("{service}/{client}", "things/192.0.2.1"),
        ("{identity.subject}:{identity.kind}:{identity.plan}", "ada:user:gold"),
        ("{identity.roles}", "admin,a%2Cb"),
        ("{identity.claims.tenant}", "acme"),
        ("{identity.claims.n},{identity.claims.yes},{identity.claims.list}", "7,true,a,1"),
        ("{identity.claims.of}{identity.claims.none}{identity.claims.missing}", ""),
        ("{identity.claims.https://example.com/team}", "blue"),
        ("{query.q}", "a"),
        ("{query.missing}{header.missing}{route.missing}", ""),
        (" {query.missing} ", ""),
    ],
)
def test_what_comes_out(text: str, wanted: str) -> None:
    assert value(text) == wanted


def test_of_an_answer_more_is_known() -> None:
    request = asking()
    request.exchange.started = 49.9876543
    found = template("{status} in {duration_ms}", answers=True).render(request, answer(404))
    assert found == "404 in 12.346"
    with pytest.raises(TemplateError, match="unknown"):
        template("{status}")


def test_nobody_is_nothing() -> None:
    assert value("{identity.subject}{identity.claims.tenant}", asking(who=None)) == ""
    detached = outline()
    object.__setattr__(detached, "requester", None)
    assert value("{identity.subject}{route.x}{path}", detached) == "/things/7"


def test_route_variables_are_those_of_the_view() -> None:
    service, stub = open_service(policies=[RequestHeaders(set={"X-Thing": "no. {route.number}"})])

    @service.get("/<int:number>/parts")
    def parts(number: int) -> Response:
        return service.forward()

    app = make_app(service)
    call(app, "/things/7/parts")
    call(app, "/things/7")
    assert [one.headers.get("X-Thing") for one in stub.requests] == ["no. 7", "no."]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{identty.subject}", "{identty.subject}, which is unknown"),
        ("{identity.headers}", "unknown"),
        ("{identity.claims.}", "unknown"),
        ("{header.a b}", "unknown"),
        ("{}", "unknown"),
        ("{query.}", "unknown"),
        ("open {", "lone {"),
        ("close }", "lone }"),
        ("a\r\nb", "control character"),
    ],
)
def test_what_is_no_template(text: str, told: str) -> None:
    with pytest.raises(TemplateError) as caught:
        template(text)
    assert told in str(caught.value)


def test_a_fault_lists_what_there_is_and_keeps_the_rest_to_itself() -> None:
    with pytest.raises(TemplateError) as caught:
        template("Bearer s3cret {nobody}")
    assert "s3cret" not in str(caught.value)
    assert all(f"{{{name}}}" in str(caught.value) for name in NAMES)


@given(st.text())
def test_words_are_written_as_in_the_fields_that_tell_who_asks(text: str) -> None:
    who = Identity(text)
    assert value("{identity.subject}", asking(who=who)) == encoded(text)


@given(st.text(), st.sampled_from(["{identity.subject}", "x{identity.subject}"]))
def test_nothing_that_is_said_breaks_a_field(text: str, form: str) -> None:
    found = value(form, asking(who=Identity(text)))
    assert found.isascii()
    assert found.isprintable() or found == ""
    assert unquote(found) == form.replace("{identity.subject}", text)


@given(st.binary())
def test_a_field_is_copied_byte_for_byte_as_far_as_it_is_readable(data: bytes) -> None:
    sent = data.decode("latin-1")
    found = value("{header.x-sent}", asking(headers=[("X-Sent", sent)]))
    assert found.isascii()
    assert found.isprintable() or found == ""
    if sent.isascii() and sent.isprintable():
        assert found == sent
    elif "%" not in sent:
        assert unquote(found, "latin-1") == sent


@given(st.text())
def test_nothing_that_is_said_breaks_a_query(text: str) -> None:
    found = value("{identity.subject}", asking(who=Identity(text)), QUERY)
    assert set("&=;#?+ \r\n").isdisjoint(found)
    assert unquote_plus(found) == text


def test_line_breaks_of_a_query_do_not_get_into_a_field() -> None:
    request = asking("/things?q=a%0d%0aX-User-ID:%20root&%71%32=b")
    assert value("{query.q}", request) == "a%0D%0AX-User-ID: root"
    assert value("{query.q2}", request) == "b"


def test_constants_are_written_for_their_place() -> None:
    assert template("Zürich, 50%").constant == "Z%C3%BCrich, 50%"
    assert template("a b,c&d=é", QUERY).constant == "a%20b,c%26d%3D%C3%A9"
    assert template("{method}").constant is None

"""Parameters of the query: what is changed, and that all else stays byte for byte."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Cache, Fallback
from gateway.authentication import Identity
from gateway.policy import policy_faults
from gateway.transforms import Query
from tests.support.outline import make_context, outline, requester
from tests.support.wsgi import call, make_app, open_service

ADA = Identity("ada & co")


def sent_on(target: str, **options: Any) -> str:
    """The target that a request has behind it."""
    asker = requester(target, identity=ADA)
    return Query(**options).outlined(outline(target=target, asker=asker)).target


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("/x", {"remove": ["a"]}, "/x"),
    ("/x?", {"remove": ["a"]}, "/x?"),
    ("/x?a=1", {"remove": ["a"]}, "/x"),
    ("/x?b=%7e&a=1&&c&=d&a", {"remove": ["a"]}, "/x?b=%7e&&c&=d"),
    ("/x?%61=1&b=+", {"remove": ["a"]}, "/x?b=+"),
    ("/x?a+b=1&c", {"remove": ["a b"]}, "/x?c"),
    ("/x?a=1&b=2&a=3", {"rename": {"a": "new name"}}, "/x?new%20name=1&b=2&new%20name=3"),
    ("/x?%61=%31&a", {"rename": {"a": "b"}}, "/x?b=%31&b"),
    ("/x?b=old&a=1", {"rename": {"a": "b"}}, "/x?b=1"),
    ("/x?b=old", {"rename": {"a": "b"}}, "/x?b=old"),
    ("/x?b=%7e", {"set": {"a": "1"}}, "/x?b=%7e&a=1"),
    ("/x?a=2&b=3", {"set": {"a": "1"}}, "/x?b=3&a=1"),
    ("/x", {"set": {"a": "1"}}, "/x?a=1"),
    ("/x?", {"set": {"a": ""}}, "/x?a="),
    ("/x?a=forged&b", {"set": {"a": "{query.none}"}}, "/x?b"),
    ("/x", {"set": {"who": "{identity.subject}"}}, "/x?who=ada%20%26%20co"),
    ("/x?q=1%262", {"set": {"r": "<{query.q}>"}}, "/x?q=1%262&r=%3C1%262%3E"),
    ("/x?a=", {"add": {"a": "1", "b": "2"}}, "/x?a=&b=2"),
    ("/x?%61", {"add": {"a": "1"}}, "/x?%61"),
    ("/x", {"add": {"a": "{query.none}"}}, "/x"),
    ("/x?a=1", {"append": {"a": "2", "filter[x]": "3,4"}}, "/x?a=1&a=2&filter[x]=3,4"),
    ("/a%2Fb/%c3?a", {"set": {"b": "é"}}, "/a%2Fb/%c3?a&b=%C3%A9"),
    (
        "/x?a=1&b=2&c=3",
        {
            "remove": ["c"],
            "rename": {"a": "c", "b": "d"},
            "set": {"c": "set"},
            "add": {"c": "added", "a": "added"},
            "append": {"a": "appended"},
        },
        "/x?d=2&c=set&a=added&a=appended",
    ),
]


@pytest.mark.parametrize(("target", "options", "wanted"), CASES)
def test_parameters_are_changed(target: str, options: dict[str, Any], wanted: str) -> None:
    assert sent_on(target, **options) == wanted


@pytest.mark.parametrize(
    "sent", ["ID=2", "id[]=2", "Id[x]=2", "%69d=2", "id%00=2", "+id=2", "id;x=2", "id=2;id=3"]
)
@pytest.mark.parametrize("options", [{"remove": ["id"]}, {"set": {"id": "{query.none}"}}], ids=str)
def test_no_backend_reads_what_was_taken_out(sent: str, options: dict[str, Any]) -> None:
    assert sent_on(f"/x?a=1&{sent}&b=2", **options).replace("&x=2", "") == "/x?a=1&b=2"


def test_a_part_behind_a_semicolon_may_be_a_parameter() -> None:
    assert sent_on("/x?a=1;id=2;c=3&b;d", remove=["id"]) == "/x?a=1;c=3&b;d"


def test_another_name_is_left_alone() -> None:
    sent = "/x?_id=1&ids=2&i=3&id2&=4&%2525"
    assert sent_on(sent, remove=["id"]) == sent
    assert sent_on(sent, remove=["_id"]) == "/x?ids=2&i=3&id2&=4&%2525"


def test_a_name_with_brackets_means_itself() -> None:
    sent = "/x?filter[a]=1&filter[b]=2&filter%5Ba%5D=3&filter=4"
    assert sent_on(sent, remove=["filter[a]"]) == "/x?filter[b]=2&filter=4"


def test_nothing_to_do_is_the_same_request() -> None:
    request = outline(target="/x?a=1")
    assert Query(remove=["b"], add={"a": "2"}).outlined(request) is request


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=30))
def test_what_is_not_named_stays_byte_for_byte(query: str) -> None:
    query = query.replace("#", "").replace("zz", "")
    options: dict[str, Any] = {"remove": ["zz"], "rename": {"zz": "a"}, "append": {"zz": "1"}}
    end = "&zz=1" if query else "zz=1"
    assert sent_on(f"/x?{query}", **options) == f"/x?{query}{end}"


@given(st.text(), st.text(min_size=1))
def test_values_arrive_as_they_are(subject: str, name: str) -> None:
    asker = requester(identity=Identity(subject))
    options: dict[str, Any] = {"set": {name: "{identity.subject}"}}
    target = Query(**options).outlined(outline(target="/x?q", asker=asker)).target
    wanted = [(name, subject)] if subject else []
    found = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    assert [one for one in found if one != ("q", "")] == wanted
    assert target.isascii()
    assert target.isprintable()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "changes nothing"),
        ({"set": {"": "1"}}, "set must be a mapping"),
        ({"set": {"a": "{status}"}}, "unknown"),
        ({"rename": {"a": "c", "b": "c"}}, "c is there twice"),
    ],
)
def test_faults(options: dict[str, Any], told: str) -> None:
    (fault, *_) = policy_faults([Query(**options)], make_context())
    assert told in fault


def test_where_it_may_stand() -> None:
    def faults(*policies: Any) -> list[str]:
        return policy_faults(policies, make_context())

    assert "must come before Cache" in faults(Cache(), Query(set={"who": "{identity.subject}"}))[0]
    assert "must come before Cache" in faults(Cache(), Query(rename={"p": "page"}))[0]
    assert "must come before Fallback" in faults(Fallback(), Query(rename={"p": "page"}))[0]
    assert faults(Cache(), Query(set={"limit": "20"}, remove=["debug"])) == []


def test_the_backend_gets_the_path_as_it_came() -> None:
    service, stub = open_service(policies=[Query(set={"limit": "20"})])
    call(make_app(service), "/things/a%20b?x=%7e&limit=1000")
    assert stub.requests[0].url.endswith("/things/a%20b?x=%7e&limit=20")

"""What is done to JSON values: case by case, and what holds for any value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transforms import operations
from gateway.transforms.request_json import RequestJSON
from gateway.transforms.response_json import ResponseJSON
from tests.support.outline import make_context

NAMES = st.sampled_from(["a", "b", "c", "d", "a.b", "*", ""])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "*", r"a\.b"]), min_size=1, max_size=3).map(
    ".".join
)
NAMED = st.tuples(PATHS, st.sampled_from("abcd")).map(".".join)


CONTEXT = make_context()


def done(value: Any, **options: Any) -> Any:
    """The value with options done to it, which are right."""
    policy = RequestJSON(**options, strict=True)  # or without options there is nothing to do
    assert policy.faults(CONTEXT) == []
    return policy.changed(value)


CASES: list[tuple[dict[str, Any], str, str]] = [
    # deny
    ({"deny": ["a", "b.c", "x.y"]}, '{"a":1,"b":{"c":2,"d":3},"x":4}', '{"b":{"d":3},"x":4}'),
    ({"deny": ["l.*.p"]}, '{"l":[{"p":1,"q":2},3,{"q":4}]}', '{"l":[{"q":2},3,{"q":4}]}'),
    ({"deny": ["l.*.p"]}, '{"l":{"x":{"p":1},"y":{"p":2}}}', '{"l":{"x":{},"y":{}}}'),
    ({"deny": ["l.*", "m.*", "n.*"]}, '{"l":[1,2],"m":{"a":1},"n":"x"}', '{"l":[],"m":{},"n":"x"}'),
    ({"deny": ["*.p"]}, '[{"p":1},[{"p":1}],"p"]', '[{},[{"p":1}],"p"]'),
    ({"deny": [r"a\.b", r"\*"]}, '{"a.b":1,"a":{"b":2},"*":3}', '{"a":{"b":2}}'),
    ({"deny": ["p"]}, '[{"p":1}]', '[{"p":1}]'),
    ({"deny": ["p"]}, '"p"', '"p"'),
    # allow
    ({"allow": ["a", "b.c"]}, '{"b":{"c":1,"d":2},"a":{"x":1},"e":3}', '{"b":{"c":1},"a":{"x":1}}'),
    ({"allow": ["b.c"]}, '{"b":"secret","c":1}', "{}"),
    ({"allow": ["b.c"]}, '{"b":{"d":1}}', '{"b":{}}'),
    ({"allow": ["l.*.p"]}, '{"l":[{"p":1,"q":2},"secret",{"q":3}]}', '{"l":[{"p":1},{}]}'),
    ({"allow": ["*.p", "a.q"]}, '{"a":{"p":1,"q":2,"r":3},"b":{"p":4,"q":5}}',
     '{"a":{"p":1,"q":2},"b":{"p":4}}'),
    ({"allow": ["*.p", "a"]}, '{"a":{"p":1,"q":2},"b":{"q":5}}', '{"a":{"p":1,"q":2},"b":{}}'),
    ({"allow": ["id", "*.id"]}, '[{"id":1,"x":2}]', '[{"id":1}]'),
    ({"allow": ["id"]}, '[{"id":1},2]', "[]"),
    ({"allow": []}, '{"a":1}', "{}"),
    ({"allow": ["a"]}, "true", "true"),
    # rename
    ({"rename": {"clientId": "client_id"}}, '{"x":1,"clientId":2,"y":3}',
     '{"x":1,"client_id":2,"y":3}'),
    ({"rename": {"user.mailAddress": "email_address", "user": "account"}},
     '{"user":{"mailAddress":"a@b.c","z":1}}', '{"account":{"email_address":"a@b.c","z":1}}'),
    ({"rename": {"items.*.sku": "code"}}, '{"items":[{"sku":1},{"x":2},3]}',
     '{"items":[{"code":1},{"x":2},3]}'),
    ({"rename": {"*.a": "b"}}, '[{"a":1},{"b":2}]', '[{"b":1},{"b":2}]'),
    ({"rename": {"a": "b"}}, '{"a":1,"b":2}', '{"a":1,"b":2}'),
    ({"rename": {"a": "b", "b": "a"}}, '{"a":1,"b":2}', '{"b":1,"a":2}'),
    ({"rename": {"a": "c", "b": "c"}}, '{"a":1,"b":2}', '{"c":1,"b":2}'),
    ({"rename": {"a": "b", "c": "a", "d": "c"}}, '{"a":1,"b":2,"c":3,"d":4}',
     '{"a":1,"b":2,"c":3,"d":4}'),
    ({"rename": {"a": "b.c"}}, '{"a":1}', '{"b.c":1}'),
    # move
    ({"move": {"user.mail": "contact.email"}}, '{"user":{"mail":1,"x":2}}',
     '{"user":{"x":2},"contact":{"email":1}}'),
    ({"move": {"a": "b.c.d"}}, '{"a":1,"b":{"x":2}}', '{"b":{"x":2,"c":{"d":1}}}'),
    ({"move": {"a": "a.value"}}, '{"a":1,"b":2}', '{"b":2,"a":{"value":1}}'),
    ({"move": {"a.b": "a"}}, '{"a":{"b":1}}', '{"a":{"b":1}}'),
    ({"move": {"a": "b"}}, '{"a":1,"b":null}', '{"a":1,"b":null}'),
    ({"move": {"a": "b.c"}}, '{"a":1,"b":[]}', '{"a":1,"b":[]}'),
    ({"move": {"l.*.a": "l.*.b.c"}}, '{"l":[{"a":1},{"x":2},3]}',
     '{"l":[{"b":{"c":1}},{"x":2},3]}'),
    ({"move": {"a": "b"}}, "[1]", "[1]"),
    # defaults
    ({"defaults": {"currency": "EUR", "a": 2}}, '{"a":null}', '{"a":null,"currency":"EUR"}'),
    ({"defaults": {"o.x": {"y": [1]}, "s.x": 1}}, '{"s":"text"}',
     '{"s":"text","o":{"x":{"y":[1]}}}'),
    ({"defaults": {"*.unit": "pc"}}, '[{},{"unit":"kg"},1]', '[{"unit":"pc"},{"unit":"kg"},1]'),
    ({"defaults": {"a": 1}}, "[]", "[]"),
    # drop_nulls
    ({"drop_nulls": True}, '{"a":null,"b":[null,{"c":null}],"d":{"e":null}}',
     '{"b":[null,{}],"d":{}}'),
    ({"drop_nulls": True}, "null", "null"),
    # group
    ({"group": {"address": ["street", "city", "zip"]}}, '{"a":1,"city":2,"b":3,"street":4}',
     '{"a":1,"address":{"street":4,"city":2},"b":3}'),
    ({"group": {"l.*.g": ["a"]}}, '{"l":[{"a":1},{"b":2}]}', '{"l":[{"g":{"a":1}},{"b":2}]}'),
    ({"group": {"g": ["a"]}}, '{"a":1,"g":2}', '{"a":1,"g":2}'),
    ({"group": {"g": ["a", "g"]}}, '{"g":2,"a":1}', '{"g":{"a":1,"g":2}}'),
    ({"group": {"g": ["a"]}}, '{"b":1}', '{"b":1}'),
    ({"group": {"g": ["a"]}}, "[1]", "[1]"),
    # wrap and unwrap
    ({"wrap": "data"}, "[1]", '{"data":[1]}'),
    ({"unwrap": "data"}, '{"data":[1]}', "[1]"),
    ({"unwrap": "data"}, '{"data":1,"meta":2}', '{"data":1,"meta":2}'),
    ({"unwrap": "data"}, '{"x":1}', '{"x":1}'),
    ({"unwrap": "data"}, "[1]", "[1]"),
    ({"unwrap": "result", "wrap": "data"}, '{"result":1}', '{"data":1}'),
    # one after the other
    ({"deny": ["meta"], "unwrap": "data"}, '{"data":1,"meta":2}', "1"),
    ({"allow": ["clientId", "x"], "deny": ["x"], "rename": {"clientId": "id"},
      "defaults": {"id": 0, "n": None}, "drop_nulls": True, "group": {"g": ["id", "n"]}},
     '{"clientId":7,"x":1,"y":2}', '{"g":{"id":7}}'),
]  # fmt: skip


@pytest.mark.parametrize(("options", "before", "after"), CASES)
def test_case(options: dict[str, Any], before: str, after: str) -> None:
    value = json.loads(before)
    assert json.dumps(done(value, **options), separators=(",", ":")) == after
    assert json.dumps(value, separators=(",", ":")) == before  # what was given stays as it is


def leaves(value: Any) -> list[str]:
    """What is in a value, wherever it is."""
    if isinstance(value, dict):
        return sorted(leaf for one in value.values() for leaf in leaves(one))
    if isinstance(value, list):
        return sorted(leaf for one in value for leaf in leaves(one))
    return [repr(value)]


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "deny": st.lists(PATHS, max_size=2),
        "allow": st.lists(PATHS, max_size=2),
        "rename": st.dictionaries(NAMED, NAMES, max_size=3),
        "move": st.tuples(NAMED, NAMED).filter(lambda two: "*" not in "".join(two)).map(
            lambda two: {two[0]: two[1]}
        ),
        "defaults": st.dictionaries(NAMED, VALUES, max_size=2),
        "drop_nulls": st.booleans(),
        "group": st.dictionaries(NAMED, st.lists(NAMES, min_size=1, max_size=3), max_size=2),
        "unwrap": NAMES,
        "wrap": NAMES,
    },
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(VALUES, OPTIONS)
def test_any_options_work_on_any_value_and_leave_it_as_it_is(
    value: Any, options: dict[str, Any]
) -> None:
    before = json.dumps(value)
    json.dumps(done(value, **options))
    assert json.dumps(value) == before


@settings(deadline=None, max_examples=100)
@given(
    VALUES,
    OPTIONS.map(
        lambda options: (
            {
                name: one
                for name, one in options.items()
                if name not in ("deny", "allow", "defaults")
            }
            | {"drop_nulls": False}
        )
    ),
)
def test_nothing_is_lost_that_was_not_to_be_taken_out(value: Any, options: dict[str, Any]) -> None:
    assert leaves(done(value, **options)) == leaves(value)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(["", "x.", "*.", "a.*."]), st.sampled_from("abcd"))
def test_renamed_there_and_back_is_as_it_was(value: Any, above: str, name: str) -> None:
    there = done(value, rename={f"{above}{name}": "new"})
    back = done(there, rename={f"{above}new": name})
    assert json.dumps(back) == json.dumps(value)  # in the same order, too


@settings(deadline=None, max_examples=60)
@given(VALUES, st.lists(PATHS, max_size=3))
def test_what_is_denied_is_gone_and_what_is_allowed_is_all(value: Any, paths: list[str]) -> None:
    denied = done(value, deny=paths)
    assert done(denied, deny=paths) == denied
    allowed = done(value, allow=paths)
    assert done(allowed, allow=paths) == allowed
    if isinstance(value, dict | list):
        assert leaves(done(allowed, deny=paths)) == leaves(done(allowed, allow=[]))


@settings(deadline=None, max_examples=40)
@given(VALUES, NAMES)
def test_wrapped_and_unwrapped_is_as_it_was(value: Any, name: str) -> None:
    assert operations.unwrapped(operations.wrapped(value, name), name) == value


@settings(deadline=None, max_examples=40)
@given(VALUES)
def test_no_member_is_null_then(value: Any) -> None:
    found = operations.without_nulls(value)
    assert ": null" not in json.dumps(found)
    assert operations.without_nulls(found) == found


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"deny": ["a..b"]}, "deny: the path 'a..b'"),
    ({"deny": "ab"}, "deny: 'ab' must be a collection"),
    ({"deny": [1]}, "deny:"),
    ({"allow": {"a": 1}}, "allow:"),
    ({"rename": {"a.*": "b"}}, "rename: the path 'a.*' must end with a name"),
    ({"rename": {"a": 1}}, "rename: 1 must be a name"),
    ({"rename": ["a"]}, "rename: ['a'] must be a dict"),
    ({"move": {"a.*.b": "c"}}, "move: 'a.*.b' and 'c' must be the same up to the last '*'"),
    ({"move": {"a.*": "a.*"}}, "move:"),
    ({"move": {"a": ""}}, "move: the path ''"),
    ({"defaults": {"a.*": 1}}, "defaults: the path 'a.*' must end with a name"),
    ({"defaults": {"a": object()}}, "defaults: the default of 'a' is no JSON"),
    ({"drop_nulls": 1}, "drop_nulls: must be True or False"),
    ({"group": {"a": "bc"}}, "group: 'bc' must be a collection"),
    ({"group": {"a": []}}, "group: 'a' must have names"),
    ({"wrap": None}, "wrap: None must be a name"),
    ({"unwrap": 1}, "unwrap: 1 must be a name"),
    ({"max_bytes": 0}, "max_bytes=0 must be at least 1"),
    ({"max_bytes": True}, "max_bytes=True"),
    ({"strict": "yes"}, "strict='yes' must be True or False"),
]


@pytest.mark.parametrize(("options", "fault"), FAULTS)
def test_fault(options: dict[str, Any], fault: str) -> None:
    [found] = RequestJSON(**{"strict": True, **options}).faults(CONTEXT)
    assert found.startswith(fault)


@pytest.mark.parametrize("kind", [RequestJSON, ResponseJSON])
def test_one_that_does_nothing_is_a_fault(kind: type[RequestJSON | ResponseJSON]) -> None:
    nothing: list[dict[str, Any]] = [{}, {"max_bytes": 7}, {"deny": [], "rename": {}, "wrap": ""}]
    for options in nothing:
        (fault,) = kind(**options).faults(CONTEXT)
        assert fault.startswith("there is nothing to do: it needs strict, or one of deny, allow")
    something: list[dict[str, Any]] = [{"strict": True}, {"allow": []}, {"drop_nulls": True}]
    for options in something:
        assert kind(**options).faults(CONTEXT) == []


def test_faults_are_told_together() -> None:
    policy = RequestJSON(deny=[""], move={"a": "*"}, wrap="x", max_bytes=0)
    assert len(policy.faults(CONTEXT)) == 3


def test_a_default_is_not_changed_by_who_gave_it() -> None:
    mine = {"a": {"b": 1}}
    policy = RequestJSON(defaults={"x": mine})
    mine["a"]["b"] = 2
    assert policy.changed({}) == {"x": {"a": {"b": 1}}}

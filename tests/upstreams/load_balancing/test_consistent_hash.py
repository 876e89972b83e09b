"""The same key, the same instance."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ConsistentHash, UpstreamRequest
from gateway.upstreams import Node
from tests.support.outline import outline
from tests.upstreams.load_balancing.support import THINGS, Busy, shares, users

ROOT = Path(__file__).resolve().parents[3]
TEN = {f"n{number}": 1 for number in range(10)}


def owners(nodes: tuple[Node, ...], count: int = 2000) -> dict[str, str]:
    """Who gets each of so many users."""
    choose = ConsistentHash("user").chooser(THINGS)
    return {request.exchange.user: choose(nodes, request).target.name for request in users(count)}


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        ("user", {"user": "ada"}, {"user": "bob"}),
        ("address", {"client": "192.0.2.7"}, {"client": "192.0.2.8"}),
        ("header:X-Tenant", {"headers": [("x-tenant", "acme")]}, {"headers": [("X-Tenant", "b")]}),
        (
            "cookie:session",
            {"headers": [("Cookie", "a=1; session=s1; b=2")]},
            {"headers": [("Cookie", "session=s2")]},
        ),
    ],
)
def test_the_key_decides(by: str, same: dict[str, object], other: dict[str, object]) -> None:
    nodes = Busy(Counter(n1=50)).nodes(**TEN)
    choose = ConsistentHash(by).chooser(THINGS)
    first: UpstreamRequest = outline(**same)  # type: ignore[arg-type]  # as parametrized
    second: UpstreamRequest = outline(target="/else", **same)  # type: ignore[arg-type]
    third: UpstreamRequest = outline(**other)  # type: ignore[arg-type]
    assert choose(nodes, first) is choose(list(reversed(nodes)), second)
    assert choose(nodes, third) is not choose(nodes, first)


@pytest.mark.parametrize("by", ["user", "header:X-Tenant", "cookie:session"])
def test_without_the_key_two_are_drawn(by: str) -> None:
    busy = Busy(Counter(a=9))
    requests = [outline(headers=[("Cookie", "other=1"), ("X-Tenant", "")])] * 20
    assert shares(ConsistentHash(by), busy.nodes(a=1, b=1), requests) == {"b": 20}


@pytest.mark.parametrize(
    "by",
    ["", "users", "header", "header:", "header:a b", "cookie:", "cookie:a=b", "ip:x", "user:x"],
)
def test_what_it_cannot_go_by_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match=r"by must be 'user', 'address', 'header:<name>' or"):
        ConsistentHash(by)


@pytest.mark.parametrize("by", ["header:Host", "header:connection", "header:X-Request-ID"])
def test_a_field_that_no_backend_gets_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match="is not among the fields passed on"):
        ConsistentHash(by)


def test_the_identity_is_a_field_too() -> None:
    assert ConsistentHash("header:X-User-ID").by == "header:X-User-ID"


@pytest.mark.parametrize(
    "weights", [TEN, {"a": 3, "b": 1}, {"a": 7, "b": 2, "c": 1}, {"a": 0, "b": 0}]
)
def test_keys_are_shared_by_weight(weights: dict[str, int]) -> None:
    found = Counter(owners(Busy().nodes(**weights), 6000).values())
    total = sum(weight or 1 for weight in weights.values())
    for name, weight in weights.items():
        assert found[name] / 6000 == pytest.approx((weight or 1) / total, abs=0.02)


WEIGHTED = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5), min_size=3)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTED, data=st.data())
def test_when_one_goes_only_its_keys_move(weights: dict[str, int], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(weights)))
    before = owners(Busy().nodes(**weights), 300)
    left = {name: weight for name, weight in weights.items() if name != gone}
    after = owners(Busy().nodes(**left), 300)
    for user, owner in before.items():
        assert after[user] == owner or owner == gone
    assert owners(Busy().nodes(**weights), 300) == before


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTED, data=st.data())
def test_more_weight_only_draws_keys_to_itself(
    weights: dict[str, int], data: st.DataObject
) -> None:
    heavier = data.draw(st.sampled_from(sorted(weights)))
    before = owners(Busy().nodes(**weights), 300)
    after = owners(Busy().nodes(**{**weights, heavier: weights[heavier] + 3}), 300)
    assert all(after[user] in (owner, heavier) for user, owner in before.items())


def test_equal_weights_rank_alike_whatever_they_are() -> None:
    ones = owners(Busy().nodes(a=1, b=1, c=1))
    assert owners(Busy().nodes(a=7, b=7, c=7)) == ones
    # And as the scores of unequal weights would: what an odd one does not get stays.
    odd = owners(Busy().nodes(a=7, b=7, c=7, d=1))
    assert all(odd[user] in (owner, "d") for user, owner in ones.items())


def test_the_keys_of_one_that_went_spread_over_all_others() -> None:
    before = owners(Busy().nodes(**TEN))
    after = owners(Busy().nodes(**{name: 1 for name in TEN if name != "n3"}))
    heirs = Counter(after[user] for user, owner in before.items() if owner == "n3")
    assert len(heirs) == 9
    assert max(heirs.values()) < 3 * min(heirs.values())


def test_every_process_agrees() -> None:
    program = (
        "from tests.upstreams.load_balancing.test_consistent_hash import *\n"
        "print(sorted(owners(Busy().nodes(a=3, b=1, c=1), 50).items()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {str(sorted(owners(Busy().nodes(a=3, b=1, c=1), 50).items()))}


@pytest.mark.parametrize("user", ["\ud800", "é", "\0", "x" * 10_000])
def test_any_text_is_a_key(user: str) -> None:
    choose = ConsistentHash("user").chooser(THINGS)
    nodes = Busy().nodes(a=2, b=1)
    request = outline(user=user)
    assert choose(nodes, request) is choose(nodes, request)


def test_repeated_fields_are_one_key() -> None:
    choose = ConsistentHash("header:X-Tenant").chooser(THINGS)
    nodes = Busy().nodes(**TEN)
    apart = outline(headers=[("X-Tenant", "a"), ("X-Tenant", "b")])
    joined = outline(headers=[("X-Tenant", "a, b")])
    assert choose(nodes, apart) is choose(nodes, joined)

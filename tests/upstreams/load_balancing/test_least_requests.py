"""The least busy of all."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import LeastRequests
from tests.support.outline import outline
from tests.upstreams.load_balancing.support import THINGS, Busy, points, shares, times


@given(
    told=st.dictionaries(
        st.sampled_from("abcdefg"),
        st.tuples(st.integers(1, 9), st.integers(0, 20)),
        min_size=2,
    ),
    point=st.floats(0, 1, exclude_max=True),
)
def test_nobody_is_less_busy_than_the_one_chosen(
    told: dict[str, tuple[int, int]], point: float
) -> None:
    busy = Busy(Counter({name: count for name, (_, count) in told.items()}))
    nodes = busy.nodes(**{name: weight for name, (weight, _) in told.items()})
    chosen = LeastRequests(points(point)).chooser(THINGS)(nodes, outline())
    loads = {name: count / weight for name, (weight, count) in told.items()}
    assert loads[chosen.target.name] == min(loads.values())


def test_an_idle_pool_is_shared_by_weight() -> None:
    chosen = shares(
        LeastRequests(random.Random(3).random), Busy().nodes(a=2, b=1, c=1), times(8000)
    )
    assert chosen["a"] / 8000 == pytest.approx(0.5, abs=0.03)
    assert chosen["b"] / 8000 == pytest.approx(0.25, abs=0.03)


def test_ties_are_drawn_among_those_that_tie() -> None:
    busy = Busy(Counter(a=1))
    chosen = shares(LeastRequests(points(0.0, 0.9)), busy.nodes(a=1, b=1, c=1), times(4))
    assert chosen == {"b": 2, "c": 2}


def test_nodes_of_weight_zero_are_compared_too() -> None:
    busy = Busy(Counter(a=1))
    assert shares(LeastRequests(), busy.nodes(a=0, b=0), times(5)) == {"b": 5}


def test_under_load_the_requests_in_flight_are_as_the_weights() -> None:
    busy = Busy()
    nodes = busy.nodes(a=4, b=2, c=1)
    choose = LeastRequests(random.Random(5).random).chooser(THINGS)
    for _ in range(70):
        busy.counts[choose(nodes, outline()).target.name] += 1
    assert busy.counts == {"a": 40, "b": 20, "c": 10}

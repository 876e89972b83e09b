"""Two drawn, the better one taken."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gateway import PowerOfTwo
from tests.support.outline import outline
from tests.upstreams.load_balancing.support import THINGS, Busy, points, shares, spread, times


def test_of_two_equal_ones_the_less_busy_is_taken_whatever_is_drawn() -> None:
    busy = Busy(Counter(a=3, b=2))
    for point in (0.0, 0.3, 0.6, 0.999999):
        chosen = shares(PowerOfTwo(points(point)), busy.nodes(a=1, b=1), times(3))
        assert chosen == {"b": 3}


def test_every_ordered_pair_is_drawn_as_often() -> None:
    busy = Busy()
    nodes = busy.nodes(a=1, b=1, c=1)
    drawn = Counter[tuple[str, str]]()
    for draw in range(6):
        choose = PowerOfTwo(points((draw + 0.5) / 6)).chooser(THINGS)
        busy.counts.clear()
        first = choose(nodes, outline()).target.name
        busy.counts[first] = 1
        drawn[first, choose(nodes, outline()).target.name] += 1
    assert set(drawn.values()) == {1}
    assert len(drawn) == 6


def test_the_busiest_of_all_gets_none() -> None:
    busy = Busy(Counter(a=5, b=6, c=4))
    chosen = shares(PowerOfTwo(random.Random(7).random), busy.nodes(a=1, b=1, c=1), times(600))
    assert chosen["b"] == 0
    assert chosen["c"] > chosen["a"] > 100


@pytest.mark.parametrize("weights", [{"a": 3, "b": 1}, {"a": 95, "b": 5}, {"a": 2, "b": 1, "c": 1}])
def test_an_idle_pool_shares_by_weight(weights: dict[str, int]) -> None:
    chosen = shares(PowerOfTwo(random.Random(1).random), Busy().nodes(**weights), times(20_000))
    for name, weight in weights.items():
        assert chosen[name] / 20_000 == pytest.approx(weight / sum(weights.values()), abs=0.015)


def test_a_small_weight_gets_no_more_than_twice_its_share_when_it_is_always_idle() -> None:
    busy = Busy(Counter(a=4))
    chosen = shares(PowerOfTwo(random.Random(1).random), busy.nodes(a=95, b=5), times(20_000))
    assert 0.08 < chosen["b"] / 20_000 < 0.11


def test_load_is_compared_per_weight() -> None:
    busy = Busy(Counter(a=5, b=2))
    nodes = busy.nodes(a=3, b=1)
    assert shares(PowerOfTwo(points(0.0, 0.9)), nodes, times(1)) == {"a": 1}
    busy.counts["a"] = 7
    assert shares(PowerOfTwo(points(0.0, 0.9)), nodes, times(1)) == {"b": 1}


def test_nodes_of_weight_zero_share_evenly() -> None:
    chosen = shares(PowerOfTwo(spread()), Busy().nodes(a=0, b=0), times(997))
    assert abs(chosen["a"] - chosen["b"]) < 10


def test_a_point_just_below_one_hits_the_last() -> None:
    just = 1 - 2**-53
    assert shares(PowerOfTwo(points(just)), Busy().nodes(a=1, b=1, c=1), times(1)) == {"c": 1}
    assert shares(PowerOfTwo(points(just)), Busy().nodes(a=9999, b=1), times(1)) == {"b": 1}


def test_a_list_that_its_owner_changes_is_looked_at_anew() -> None:
    choose = PowerOfTwo(points(0.3)).chooser(THINGS)
    group = list(Busy().nodes(a=1, b=1, c=8))
    assert choose(group, outline()).target.name == "c"
    del group[2]
    assert choose(group, outline()).target.name == "a"


def test_other_nodes_are_other_weights() -> None:
    choose = PowerOfTwo(points(0.5)).chooser(THINGS)
    busy = Busy()
    assert choose(busy.nodes(a=9, b=1), outline()).target.name == "a"
    assert choose(busy.nodes(a=1, b=9), outline()).target.name == "b"

"""Turns by weight."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway import RoundRobin
from tests.support.outline import outline
from tests.upstreams.load_balancing.support import THINGS, Busy, names, shares, times

WEIGHTS = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 9), min_size=2, max_size=7)


def test_turns_are_smooth() -> None:
    choose = RoundRobin().chooser(THINGS)
    nodes = Busy().nodes(a=5, b=1, c=1)
    assert names(choose(nodes, outline()) for _ in range(7)) == list("aabacaa")


@given(weights=WEIGHTS, cycles=st.integers(1, 3))
def test_a_cycle_is_fair_to_the_weights(weights: dict[str, int], cycles: int) -> None:
    choose = RoundRobin().chooser(THINGS)
    nodes = Busy().nodes(**weights)
    for _ in range(cycles):
        turns = Counter(names(choose(nodes, outline()) for _ in range(sum(weights.values()))))
        assert turns == weights


def test_nodes_of_weight_zero_take_turns_too() -> None:
    assert shares(RoundRobin(), Busy().nodes(a=0, b=0, c=0), times(9)) == {"a": 3, "b": 3, "c": 3}


def test_one_that_was_away_does_not_catch_up() -> None:
    choose = RoundRobin().chooser(THINGS)
    nodes = Busy().nodes(a=1, b=1, c=1)
    for _ in range(50):
        choose(nodes, outline())
        choose(nodes[:2], outline())
    turns = Counter(names(choose(nodes, outline()) for _ in range(30)))
    assert max(turns.values()) - min(turns.values()) <= 2


def test_a_small_group_for_a_retry_does_not_disturb_the_turns() -> None:
    choose = RoundRobin().chooser(THINGS)
    nodes = Busy().nodes(**{f"n{number}": 1 for number in range(20)})
    first = names(choose(nodes, outline()) for _ in range(10))
    choose(list(nodes[:2]), outline())
    rest = names(choose(nodes, outline()) for _ in range(9))
    assert len(set(first + rest)) >= 18


def test_names_that_come_and_go_are_forgotten() -> None:
    choose = RoundRobin().chooser(THINGS)
    busy = Busy()
    for turn in range(1000):
        choose(busy.nodes(**{f"a{turn}": 1, f"b{turn}": 1}), outline())
    held = [value for value in vars(choose).values() if isinstance(value, dict)]
    assert len(held) == 1
    assert len(held[0]) <= 260


def test_threads_share_the_turns() -> None:
    choose = RoundRobin().chooser(THINGS)
    nodes = Busy().nodes(a=3, b=1)
    found: list[str] = []

    def take() -> None:
        found.extend(names(choose(nodes, outline()) for _ in range(400)))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {"a": 1200, "b": 400}

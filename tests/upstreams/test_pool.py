"""The instances of a service, and whose turn it is."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from gateway.upstreams import Target, UpstreamPool, parse_targets


def test_targets_are_parsed_in_order() -> None:
    targets = parse_targets(" http://a:8080/v1 ,,https://b, ")
    assert [target.origin.url for target in targets] == ["http://a:8080", "https://b"]
    assert targets[0].origin.base_path == "/v1"


@pytest.mark.parametrize("urls", ["", " ", ",", " , "])
def test_empty_means_no_instance(urls: str) -> None:
    pool = UpstreamPool(parse_targets(urls))
    assert pool.choose() is None
    assert pool.choose() is None


def test_faulty_part_is_named() -> None:
    with pytest.raises(ValueError, match="'b:80' must be"):
        parse_targets("http://a,b:80")


def test_single_target_is_chosen_always() -> None:
    (only,) = parse_targets("http://a")
    pool = UpstreamPool([only])
    assert {pool.choose() for _ in range(3)} == {only}


def test_targets_take_turns() -> None:
    targets = parse_targets("http://a,http://b,http://c")
    pool = UpstreamPool(targets)
    assert [pool.choose() for _ in range(6)] == [*targets, *targets]


def test_turns_are_fair_between_threads() -> None:
    targets = parse_targets("http://a,http://b,http://c")
    pool = UpstreamPool(targets)
    chosen: list[Target | None] = []

    def take() -> None:
        for _ in range(300):
            chosen.append(pool.choose())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(chosen) == dict.fromkeys(targets, 400)

"""The instances of a service: which can be used, and who is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from gateway.errors import NoTarget
from gateway.exchange import UpstreamRequest
from gateway.state import MemoryState
from gateway.upstreams import (
    Connections,
    Ejection,
    Node,
    Target,
    UpstreamPool,
    parse_targets,
    verdicts,
)
from tests.support.outline import outline


@dataclass
class Bench:
    """A pool of three with everything it depends on at hand."""

    now: float = 1000.0
    retired: list[str] = field(default_factory=list)
    last: str = ""

    def __post_init__(self) -> None:
        self.state = MemoryState(lambda: self.now)
        self.pool = self.another("http://a,http://b,http://c")

    def another(self, urls: str, ejection: Ejection | None = None) -> UpstreamPool:
        """Another worker's pool over the same state; it chooses the first that it may."""
        return UpstreamPool(
            "things",
            parse_targets(urls),
            state=self.state,
            chooser=self._first,
            connections=Connections(lambda target: lambda: 0, self._retire),
            ejection=ejection or Ejection(failures=2, seconds=10, longest=25),
        )

    def _first(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        return nodes[0]

    def _retire(self, target: Target) -> None:
        self.retired.append(target.name)

    def fail(self, name: str, times: int = 2, pool: UpstreamPool | None = None) -> None:
        """Have an instance fail."""
        pool = pool or self.pool
        node = next(node for node in pool.nodes if node.target.name == name)
        for _ in range(times):
            pool.noted(node, False)

    def usable(self, pool: UpstreamPool | None = None) -> list[str]:
        """Every instance that can be chosen, in order."""
        pool = pool or self.pool
        request = replace(outline(), tried=[])
        found: list[str] = []
        while (name := pool.choose(request).target.name) not in found:
            found.append(name)
            assert request.tried is not None
            request.tried.append(name)
        return found


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_targets_are_parsed_in_order() -> None:
    targets = parse_targets(" http://a:8080/v1 ; weight=5 ,,https://b, ")
    assert [target.origin.url for target in targets] == ["http://a:8080", "https://b"]
    assert targets[0].origin.base_path == "/v1"
    assert [target.weight for target in targets] == [5, 1]
    assert [target.name for target in targets] == ["a:8080/v1", "b"]


@pytest.mark.parametrize("urls", ["", " ", ",", " , "])
def test_empty_means_no_instance(bench: Bench, urls: str) -> None:
    with pytest.raises(NoTarget):
        bench.another(urls).choose(outline())


@pytest.mark.parametrize(
    ("urls", "fault"),
    [
        ("http://a,b:80", "'b' must be"),
        ("http://a;weight=x", "'http://a' may be followed by"),
        ("http://a;weight=1;weight=2", "'http://a' may be followed by"),
        ("http://a;zone=b", "'http://a' may be followed by"),
        ("http://me:secret@a", "'a' must be"),
        ("http://a,http://b,http://a", "'a' is there twice"),
    ],
)
def test_faulty_part_is_named(urls: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_targets(urls)


def test_a_single_target_is_chosen_always(bench: Bench) -> None:
    pool = bench.another("http://a")
    bench.fail("a", 20, pool)
    assert {pool.choose(outline()).target.name for _ in range(3)} == {"a"}


def test_what_was_tried_is_avoided_while_there_is_another(bench: Bench) -> None:
    request = replace(outline(), tried=["a", "b"])
    assert bench.pool.choose(request).target.name == "c"
    request = replace(outline(), tried=["a", "b", "c"])
    assert bench.pool.choose(request).target.name == "a"


def test_what_is_not_admitted_is_never_chosen(bench: Bench) -> None:
    request = replace(outline(), admit=lambda name: name != "a", tried=["b", "c"])
    assert bench.pool.choose(request).target.name == "b"
    with pytest.raises(NoTarget):
        bench.pool.choose(replace(outline(), admit=lambda name: False))


def test_who_keeps_failing_is_left_out_by_all_workers(bench: Bench) -> None:
    other = bench.another("http://a,http://b,http://c")
    bench.fail("a")
    assert bench.usable() == ["b", "c"]
    other.refresh()
    assert bench.usable(other) == ["b", "c"]
    bench.now += 10.5
    for pool in (bench.pool, other):
        pool.refresh()
        assert bench.usable(pool) == ["a", "b", "c"]


def test_a_success_begins_the_count_anew(bench: Bench) -> None:
    bench.fail("a", 1)
    bench.pool.noted(bench.pool.nodes[0], True)
    bench.fail("a", 1)
    assert bench.usable() == ["a", "b", "c"]


def test_who_fails_again_is_left_out_for_longer(bench: Bench) -> None:
    for seconds in (10, 20, 25, 25):
        bench.fail("a")
        bench.now += seconds - 0.5
        bench.pool.refresh()
        assert bench.usable() == ["b", "c"]
        bench.now += 1
        bench.pool.refresh()
        assert bench.usable() == ["a", "b", "c"]
    bench.now += 60
    bench.fail("a")
    bench.now += 10.5
    bench.pool.refresh()
    assert bench.usable() == ["a", "b", "c"]


def test_no_more_than_the_share_is_left_out(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.fail(name, 10)
    assert bench.usable() == ["b", "c"]


def test_the_last_one_is_never_left_out(bench: Bench) -> None:
    pool = bench.another("http://a,http://b", Ejection(failures=1, most=1.0))
    bench.fail("a", 3, pool)
    bench.fail("b", 3, pool)
    assert bench.usable(pool) == ["b"]


def test_unhealthy_ones_are_used_if_there_is_no_other(bench: Bench) -> None:
    def say(name: str, healthy: bool) -> None:
        verdict = {"healthy": healthy, "expires": bench.now + 30}
        bench.state.change(verdicts.health("things", name), lambda old: verdict)
        bench.pool.refresh()

    say("a", False)
    say("b", False)
    assert bench.usable() == ["c"]
    say("c", False)
    assert bench.usable() == ["a", "b", "c"]
    say("b", True)
    assert bench.usable() == ["b"]


def test_a_target_taken_away_drains_and_the_others_keep_their_verdicts(bench: Bench) -> None:
    bench.fail("b")
    bench.pool.set_targets(parse_targets("http://b,http://c,http://d"))
    assert bench.usable() == ["c", "d"]
    assert bench.retired == ["a"]


def test_weight_zero_is_used_only_if_there_is_no_other(bench: Bench) -> None:
    assert bench.usable(bench.another("http://a;weight=0,http://b")) == ["b"]
    assert bench.usable(bench.another("http://a;weight=0")) == ["a"]

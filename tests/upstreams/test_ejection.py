"""Passive health over several workers: who is left out, for how long, and what an outage does."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway.exchange import UpstreamRequest
from gateway.state import MemoryState
from gateway.upstreams import Connections, Ejection, Node, UpstreamPool, parse_targets
from tests.support.outline import outline

BEAT = 0.25


@dataclass
class Workers:
    """The pools of some workers over one state, and a clock that is moved by hand."""

    urls: str
    ejection: Ejection
    count: int = 2
    seed: int = 1
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.lot = random.Random(self.seed)
        self.state = MemoryState(lambda: self.now)
        self.pools = [
            UpstreamPool(
                "things",
                parse_targets(self.urls),
                state=self.state,
                chooser=self.drawn,
                connections=Connections(lambda target: lambda: 0, lambda target: None),
                ejection=self.ejection,
            )
            for _ in range(self.count)
        ]

    def drawn(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        return self.lot.choice(nodes)

    def serve(self, seconds: float, broken: str, rate: int = 40) -> list[str]:
        """So many requests a second, each at a worker by lot; those at `broken` instances fail.
        Returns who was asked."""
        asked = []
        for request in range(int(seconds * rate)):
            self.now += 1 / rate
            if request % int(rate * BEAT) == 0:
                self.refresh()
            pool = self.lot.choice(self.pools)
            node = pool.choose(outline())
            asked.append(node.target.name)
            pool.noted(node, node.target.name not in broken)
        return asked

    def refresh(self) -> None:
        """The beat of all workers."""
        for pool in self.pools:
            pool.refresh()

    def out(self) -> set[str]:
        """Who is left out by now."""
        self.refresh()
        nodes = self.pools[0].nodes
        return {node.target.name for node in nodes if node.ejected_until > self.now}


def fail(pool: UpstreamPool, name: str, times: int = 1) -> None:
    """Have an instance fail in one worker."""
    for _ in range(times):
        pool.noted(next(node for node in pool.nodes if node.target.name == name), False)


@pytest.mark.parametrize("seed", range(30))
def test_one_that_fails_is_out_and_stays_out(seed: int) -> None:
    workers = Workers("http://a,http://b,http://c", Ejection(failures=5, seconds=30), seed=seed)
    workers.serve(3, broken="c")
    assert workers.out() == {"c"}
    workers.now += BEAT
    assert "c" not in workers.serve(25, broken="c")
    asked = workers.serve(35, broken="c")
    # Back after 30 s, its first failure sends it out again, now for 60 s. The other worker may
    # ask it a few times more.
    assert 1 <= asked.count("c") <= 10
    assert "c" not in workers.serve(20, broken="c")


def test_one_that_recovers_is_in_again() -> None:
    workers = Workers("http://a,http://b,http://c", Ejection(failures=5, seconds=30))
    workers.serve(5, broken="c")
    asked = workers.serve(60, broken="")
    assert asked[-100:].count("c") > 10
    assert workers.out() == set()


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("urls", ["http://a,http://b", "http://a,http://b,http://c,http://d"])
def test_an_outage_of_all_does_not_flap(
    urls: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.upstreams")
    workers = Workers(urls, Ejection(failures=5, seconds=30), seed=seed)
    workers.serve(5, broken="abcd")
    at_first = len(caplog.records)
    workers.serve(200, broken="abcd", rate=12)
    assert len(caplog.records) == at_first <= len(workers.pools[0].nodes) // 2
    # When it is over, all of them serve, at once.
    asked = workers.serve(5, broken="")
    assert set(asked) == set(urls.replace("http://", "").split(","))


def test_two_workers_together_leave_no_more_out_than_one() -> None:
    workers = Workers("http://a,http://b,http://c,http://d", Ejection(failures=2, most=0.5))
    for worker, name in ((0, "a"), (1, "b"), (0, "c"), (1, "d")):
        fail(workers.pools[worker], name, 3)  # without a beat between them
    assert workers.out() == {"a", "b"}


def test_none_is_left_out_while_no_other_does_well() -> None:
    workers = Workers("http://a,http://b", Ejection(failures=3), count=1)
    (pool,) = workers.pools
    fail(pool, "b")
    fail(pool, "a", 5)
    assert workers.out() == set()
    pool.noted(pool.nodes[1], True)
    fail(pool, "a")
    assert workers.out() == {"a"}


def test_what_is_kept_for_an_emergency_counts_for_nothing() -> None:
    workers = Workers("http://a,http://b;weight=0", Ejection(failures=1, most=1.0), count=1)
    fail(workers.pools[0], "a", 3)
    assert workers.out() == set()
    assert [node.target.name for node in workers.pools[0].usable] == ["a"]


def test_who_fails_a_probe_is_not_ejected_as_well() -> None:
    workers = Workers("http://a,http://b", Ejection(failures=1), count=1)
    pool = workers.pools[0]
    workers.state.change(
        "upstream/things/health/a", lambda old: {"healthy": False, "expires": workers.now + 60}
    )
    pool.refresh()
    fail(pool, "a", 3)
    assert workers.out() == set()


def test_the_time_grows_and_decays() -> None:
    ejection = Ejection(seconds=10, longest=25)
    verdict = ejection.verdict(None, 0.0)
    assert (verdict["until"], verdict["times"]) == (10, 1)
    assert ejection.verdict(verdict, 9.9) == verdict
    verdict = ejection.verdict(verdict, 19.9)
    assert (verdict["until"], verdict["times"]) == (39.9, 2)
    verdict = ejection.verdict(verdict, 59.0)
    assert (verdict["until"], verdict["times"]) == (84, 3)
    assert ejection.verdict(verdict, 84 + 24.9)["times"] == 4
    assert ejection.verdict(verdict, 84 + 25)["times"] == 1


def test_a_clock_that_was_set_back_leaves_nobody_out_for_long() -> None:
    workers = Workers("http://a,http://b", Ejection(failures=1, seconds=10, longest=20), count=1)
    fail(workers.pools[0], "a")
    assert workers.out() == {"a"}
    workers.now -= 500
    assert workers.out() == set()
    fail(workers.pools[0], "a")
    assert workers.out() == {"a"}
    workers.now += 10
    assert workers.out() == set()


def test_what_was_said_before_ejection_was_turned_off_counts_no_longer() -> None:
    workers = Workers("http://a,http://b", Ejection(failures=1), count=1)
    fail(workers.pools[0], "a")
    off = UpstreamPool(
        "things",
        parse_targets(workers.urls),
        state=workers.state,
        chooser=workers.drawn,
        connections=Connections(lambda target: lambda: 0, lambda target: None),
        ejection=None,
    )
    off.refresh()
    assert off.usable == off.nodes


@pytest.mark.parametrize(
    "options",
    [
        {"failures": 0},
        {"seconds": 0},
        {"seconds": -1},
        {"seconds": 10, "longest": 9},
        {"most": 1.1},
        {"most": -0.1},
    ],
)
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Ejection"):
        Ejection(**options)  # type: ignore[arg-type]

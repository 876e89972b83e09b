"""A pool that is changed from several threads while requests choose."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from gateway import Ejection, PowerOfTwo, UpstreamRequest
from gateway.state import MemoryState, Value
from gateway.upstreams import Connections, Node, Target, UpstreamPool, parse_targets
from gateway.upstreams.load_balancing import BalancedService
from tests.support.outline import outline


class Slow(MemoryState):
    """A state in which something else happens while one looks."""

    meanwhile: Callable[[], None] | None = None

    def scan(self, prefix: str) -> dict[str, Value]:
        """What was there before the other thing happened."""
        found = super().scan(prefix)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            other = threading.Thread(target=meanwhile)
            other.start()
            other.join(0.2)  # it may have to wait for us
        return found


def make_pool(state: MemoryState, retired: list[str] | None = None) -> UpstreamPool:
    """A pool of three, from which one failure ejects."""

    def retire(target: Target) -> None:
        if retired is not None:
            retired.append(target.origin.url)

    return UpstreamPool(
        "things",
        parse_targets("http://a,http://b,http://c"),
        state=state,
        chooser=PowerOfTwo().chooser(BalancedService("things")),
        connections=Connections(lambda target: lambda: 0, retire),
        ejection=Ejection(failures=1, seconds=60, most=0.7),
    )


def usable(pool: UpstreamPool) -> set[str]:
    """Who is chosen in many tries."""
    return {pool.choose(outline()).target.name for _ in range(200)}


def eventually(pool: UpstreamPool, names: set[str]) -> bool:
    """Whether these and no others are chosen, soon."""
    end = time.monotonic() + 5
    while usable(pool) != names:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_what_is_left_out_during_a_beat_stays_out() -> None:
    state = Slow()
    pool = make_pool(state)
    state.meanwhile = lambda: pool.noted(pool.nodes[0], False)
    pool.refresh()
    assert eventually(pool, {"b", "c"})


def test_what_goes_during_a_beat_is_gone() -> None:
    state = Slow()
    pool = make_pool(state)
    state.meanwhile = lambda: pool.set_targets(parse_targets("http://b,http://d"))
    pool.refresh()
    assert eventually(pool, {"b", "d"})


def test_two_that_fail_at_once_do_not_both_go_beyond_the_share() -> None:
    state = Slow()
    pool = make_pool(state)
    pool.noted(pool.nodes[0], False)
    state.meanwhile = lambda: pool.noted(pool.nodes[1], False)
    pool.noted(pool.nodes[2], False)
    time.sleep(0.3)  # the other may have had to wait
    assert len(usable(pool)) == 2  # of three, no more than 0.7 times three may be out


def test_who_is_gone_is_not_left_out_afterwards() -> None:
    state = MemoryState()
    pool = make_pool(state)
    (gone,) = [node for node in pool.nodes if node.target.name == "a"]
    pool.set_targets(parse_targets("http://b,http://c"))
    pool.noted(gone, False)
    assert state.scan("upstream/") == {}
    assert usable(pool) == {"b", "c"}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns very often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty")
def test_once_targets_are_set_no_other_is_chosen() -> None:
    pool = make_pool(MemoryState())
    over = threading.Event()
    failures: list[BaseException] = []

    def disturb() -> None:
        try:
            while not over.is_set():
                pool.refresh()
                for node in pool.nodes:
                    pool.noted(node, False)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=disturb) for _ in range(3)]
    for thread in threads:
        thread.start()
    sets = ["http://a,http://b", "http://b,http://c,http://d", "http://e", "http://a,http://d"]
    wrong: list[str] = []
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for urls in sets:
            targets = parse_targets(urls)
            pool.set_targets(targets)
            names = {target.name for target in targets}
            chosen = {pool.choose(outline()).target.name for _ in range(5)}
            wrong += chosen - names
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not failures


def test_paths_at_one_place_share_connections_that_stay_while_one_is_left() -> None:
    retired: list[str] = []
    pool = make_pool(MemoryState(), retired)
    pool.set_targets(parse_targets("http://a/v1,http://a/v2,http://b"))
    assert retired == ["http://c"]
    pool.set_targets(parse_targets("http://a/v2,http://b"))
    assert retired == ["http://c"]
    pool.set_targets(parse_targets("http://b;weight=3"))
    assert retired == ["http://c", "http://a"]


def test_nothing_new_leaves_the_choosers_what_they_remember() -> None:
    seen: list[Sequence[Node]] = []

    def first(nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        seen.append(nodes)
        return nodes[0]

    pool = make_pool(MemoryState())
    pool.chooser = first
    for _ in range(3):
        pool.choose(outline())
        pool.refresh()
    assert seen[0] is seen[1] is seen[2]
    pool.set_targets(parse_targets("http://a;weight=2,http://b,http://c"))
    assert pool.choose(outline()).target.weight == 2
    assert seen[3] is not seen[0]

"""Whatever is done, the embedded store knows what a dictionary knows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.caching.embedded import EmbeddedResponses
from gateway.caching.embedded_purging import Purging
from gateway.caching.memory import MemoryResponses
from gateway.caching.store import Outcome, Purge, ResponseStore, Ticket
from tests.caching.stores import key_of

LONG = "/a" + "x" * 398
NAMES = range(6)
_names = st.sampled_from(NAMES)
_urls = st.sampled_from(["/", "/a", "/a?b", "/a/b", "/ab", LONG, LONG + "y", LONG + "y?z"])
_tags = st.lists(st.sampled_from(["a", "b", "/a"]), max_size=3)
_lengths = st.sampled_from([0, 1, 1900, 2500, 4079, 4080, 4081, 6000, 13_000])
_kinds = st.sampled_from(get_args(get_type_hints(Purge)["kind"]))
_owners = st.sampled_from([b"worker 1", b"worker 2"])
_outcomes = st.sampled_from(get_args(Outcome))
_steps = st.one_of(
    st.tuples(st.just("ticket"), _urls),
    st.tuples(st.just("write"), _names, _lengths, _urls, _tags, st.booleans()),
    st.tuples(st.just("drop"), _names),
    st.tuples(st.just("purge"), _kinds, st.one_of(_urls, st.sampled_from(["b", ""]))),
    st.tuples(st.just("claim"), _names, _owners, st.integers(1, 9)),
    st.tuples(st.just("release"), _names, _owners, _outcomes),
    st.tuples(st.just("wait"), st.sampled_from([0.25, 1, 3, 5])),
)


class Run:
    """One store, and the ticket that was taken last."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store
        self._taken: tuple[str, Ticket] | None = None
        self._writes = 0

    def step(self, what: str, *told: Any) -> object:
        """What a step answers."""
        if what == "ticket":
            self._taken = (told[0], self._store.ticket(told[0]))
            return None
        if what == "write":
            return self._write(*told)
        if what == "purge":
            return self._store.purge(Purge(*told))
        if what == "wait":
            return None
        name, *rest = told
        return getattr(self._store, what)(key_of(name), *rest)

    def _write(self, name: int, length: int, url: str, tags: list[str], late: bool) -> bool:
        self._writes += 1
        data = self._writes.to_bytes(2, "big") * length
        ticket = self._store.ticket(url)
        if late and self._taken is not None:
            url, ticket = self._taken
        return self._store.write(key_of(name), data, url=url, tags=tags, ticket=ticket) is not None

    def state(self) -> object:
        """All that is kept."""
        keys = [key_of(name) for name in NAMES]
        found = [self._store.read(key) for key in keys]
        data = [None if answer is None else answer.data for answer in found]
        ended = [self._store.outcome(key, waited) for key in keys for waited in (0, 0.5, 60)]
        return data, ended, self._store.usage()[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(_steps, max_size=25), st.sampled_from([3, 1000]), st.sampled_from([1, 500]))
def test_it_does_what_a_dictionary_does(
    steps: list[tuple[Any, ...]], changes: int, much: int
) -> None:
    now = [1e9]
    with tempfile.TemporaryDirectory() as folder:
        embedded = EmbeddedResponses(Path(folder), 1 << 24, clock=lambda: now[0])
        embedded._changes = changes
        embedded._purging = Purging(embedded._store, changes, much)
        mine, model = Run(embedded), Run(MemoryResponses(1 << 24, clock=lambda: now[0]))
        for what, *told in steps:
            now[0] += told[0] if what == "wait" else 0
            assert mine.step(what, *told) == model.step(what, *told)
            assert mine.state() == model.state()
        embedded.close()

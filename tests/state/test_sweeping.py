"""Values that have expired go, all others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.state import EmbeddedState, EmbeddedStore, MemoryState, SharedState, Value
from gateway.state.sweeping import sweep


@pytest.fixture(params=["memory", "lmdb"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> SharedState:
    if request.param == "memory":
        return MemoryState()
    return EmbeddedState(EmbeddedStore(tmp_path))


def test_only_what_has_expired_goes(state: SharedState) -> None:
    values: dict[str, Value] = {
        "a/past": {"expires": 99.9},
        "a/now": {"expires": 100.0, "more": [1]},
        "a/later": {"expires": 100.1},
        "z/never": {"until": 1.0},
    }
    for name, value in values.items():
        state.change(name, lambda old, value=value: value)  # type: ignore[misc]
    sweep(state, 100.0)
    assert sorted(state.scan("")) == ["a/later", "z/never"]


def test_what_was_renewed_meanwhile_stays() -> None:
    class Late(MemoryState):
        """Sees what was there a while ago."""

        def scan(self, prefix: str) -> dict[str, Value]:
            found = super().scan(prefix)
            self.change("a", lambda old: {"expires": 200.0})
            return found

    state = Late()
    state.change("a", lambda old: {"expires": 50.0})
    sweep(state, 100.0)
    assert state.get("a") == {"expires": 200.0}

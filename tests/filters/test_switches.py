"""What is off: by the settings, switched by one worker and seen by all, and kept when a store is
away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.filters.switches import KEY, Switches, SwitchFault
from gateway.state import MemoryState
from gateway.state.fallback import FallbackState
from gateway.state.shared import Edit, Value

NAMES = ("geo", "audit", "stamp")


def test_what_the_settings_have_off() -> None:
    switches = Switches(NAMES, ("geo", "of-another-gateway"), MemoryState())
    assert switches.off == {"geo"}
    assert not any(switches.switched(name) for name in NAMES)


def test_one_switches_and_all_see_it() -> None:
    state = MemoryState()
    one, other = (Switches(NAMES, ("geo",), state) for _ in range(2))
    one.switch("audit", False)
    one.switch("geo", True)
    assert one.off == {"audit"}
    assert other.off == {"geo"}
    other.refresh()
    assert other.off == {"audit"}
    assert [name for name in NAMES if other.switched(name)] == ["geo", "audit"]


def test_only_what_is_not_as_the_settings_say_is_kept() -> None:
    state = MemoryState()
    switches = Switches(NAMES, ("geo",), state)
    switches.switch("audit", False)
    switches.switch("geo", True)
    assert state.get(KEY) == {"switched": {"audit": False, "geo": True}}
    switches.switch("audit", False)  # again
    switches.switch("geo", False)
    assert state.get(KEY) == {"switched": {"audit": False}}
    switches.switch("audit", True)
    assert state.get(KEY) is None
    assert switches.off == {"geo"}


def test_names_of_other_gateways_stay_as_they_are() -> None:
    state = MemoryState()
    Switches(("elsewhere",), (), state).switch("elsewhere", False)
    ours = Switches(NAMES, (), state)
    ours.switch("geo", False)
    assert ours.off == {"geo"}
    assert state.get(KEY) == {"switched": {"elsewhere": False, "geo": False}}


class Leaving(MemoryState):
    """A store that can be away."""

    away = False

    def get(self, key: str) -> Value | None:
        self._look()
        return super().get(key)

    def change(self, key: str, edit: Edit) -> Value | None:
        self._look()
        return super().change(key, edit)

    def _look(self) -> None:
        if self.away:
            raise OSError("gone")


@pytest.fixture
def leaving() -> tuple[Leaving, Switches, Callable[[float], None]]:
    """A store, switches over it, and what lets time pass."""
    now = [100.0]

    def passing(seconds: float) -> None:
        now[0] += seconds

    store = Leaving()
    state = FallbackState(store, MemoryState(), monotonic=lambda: now[0])
    return store, Switches(NAMES, (), state), passing


def test_what_is_known_stays_while_the_store_is_away(
    leaving: tuple[Leaving, Switches, Callable[[float], None]],
) -> None:
    store, switches, passing = leaving
    switches.switch("geo", False)
    store.away = True
    switches.refresh()
    assert switches.off == {"geo"}
    with pytest.raises(SwitchFault):
        switches.switch("audit", False)
    with pytest.raises(SwitchFault):
        switches.look()
    assert switches.off == {"geo"}
    store.away = False
    passing(60)
    switches.look()
    assert switches.off == {"geo"}
    assert store.get(KEY) == {"switched": {"geo": False}}

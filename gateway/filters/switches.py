"""Which filters are off: by the settings, or switched while the gateway runs."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.state import SharedState, Value

#: What was switched, by name: True for on. Only what is not as the settings say.
KEY = "filters"


class SwitchFault(Exception):
    """The store that the workers share cannot be used: nobody would learn of it."""


class Switches:
    """The filters that are off, as this worker knows it. It looks at every beat, so that a request
    only looks into a set; what it knows stays while the store is away.

    names: of all filters. off: those that the settings have off.
    """

    __slots__ = ("_names", "_state", "_usually_off", "off")

    def __init__(self, names: Iterable[str], off: Iterable[str], state: SharedState) -> None:
        self._names = frozenset(names)
        self._usually_off = frozenset(off) & self._names
        self._state = state
        self.off = self._usually_off

    def refresh(self) -> None:
        """Take over what was switched by others."""
        value = self._state.get(KEY)
        if not self._away():
            self._take(value)

    def _take(self, value: Value | None) -> None:
        switched = (value or {}).get("switched", {})
        off = {
            name for name in self._names if not switched.get(name, name not in self._usually_off)
        }
        if off != self.off:
            self.off = frozenset(off)

    def switch(self, name: str, on: bool) -> None:
        """Switch a filter for all who share the store; they see it at their next beat. It lasts as
        long as the store does. Raises SwitchFault; doing it again is safe."""
        usual = name not in self._usually_off

        def edit(old: Value | None) -> Value | None:
            switched = {**(old or {}).get("switched", {})}
            switched.pop(name, None)
            if on is not usual:
                switched[name] = on
            return {"switched": switched} if switched else None

        value = self._state.change(KEY, edit)
        if self._away():
            raise SwitchFault
        self._take(value)

    def look(self) -> None:
        """Be up to date, from wherever the workers are. Raises SwitchFault."""
        self._state.refresh()
        self.refresh()
        if self._away():
            raise SwitchFault

    def _away(self) -> bool:
        return bool(getattr(self._state, "degraded", False))

    def switched(self, name: str) -> bool:
        """Whether a filter is not as the settings say."""
        return (name in self.off) is not (name in self._usually_off)

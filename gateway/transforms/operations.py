"""What can be done to a JSON value. Nothing else is asked, and what is given stays as it is.

Each works on any value: what a path does not lead to is left as it is. One rule for conflicts: a
name that is taken is never overwritten. What was to be renamed, moved, grouped or put there stays
where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.transforms.codec import JSON
from gateway.transforms.json_paths import EACH, Each, Path, changed_at

#: Nothing there, or no place for it.
_NOTHING: Final = object()


def denied(value: JSON, path: Path) -> JSON:
    """The value without what is at a path."""
    last = path[-1]

    def without(parent: JSON) -> JSON:
        if isinstance(last, str):
            if not isinstance(parent, dict) or last not in parent:
                return parent
            return {name: one for name, one in parent.items() if name != last}
        if isinstance(parent, dict | list):
            return type(parent)()
        return parent

    return changed_at(value, path[:-1], without)


class Allowed(dict["str | Each", "Allowed"]):
    """What may stay of an object or array: of the member of a name, or of each (EACH), what is
    there; `all` for everything. Empty: nothing."""

    __slots__ = ("all",)
    all: bool

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Allowed:
        """What the paths name."""
        found = cls()
        found.all = False
        inside: dict[str | Each, list[Path]] = {}
        for path in paths:
            if path:
                inside.setdefault(path[0], []).append(path[1:])
            else:
                found.all = True
        for step, rests in inside.items():  # what is for each is for one of a name as well
            found[step] = cls.of([*rests, *(inside.get(EACH, ()) if step is not EACH else ())])
        return found


def allowed(value: JSON, paths: Allowed) -> JSON:
    """The value with nothing but what is at the paths, and the objects and arrays on the way there.

    An array of whose items no path tells is empty then. A body that is neither object nor array has
    nothing that a path could name, and stays.
    """
    each = paths.get(EACH)
    if isinstance(value, dict):
        members = ((name, _kept(one, paths.get(name, each))) for name, one in value.items())
        return {name: one for name, one in members if one is not _NOTHING}
    if isinstance(value, list):
        items = (_kept(one, each) for one in value)
        return [one for one in items if one is not _NOTHING]
    return value


def _kept(value: JSON, paths: Allowed | None) -> JSON:
    if paths is None:
        return _NOTHING
    if paths.all:
        return value
    return allowed(value, paths) if isinstance(value, dict | list) else _NOTHING


def renamed(value: JSON, parent: Path, names: Mapping[str, str]) -> JSON:
    """The value with members of the objects at `parent` renamed, in their places. All at once: two
    can change their names with each other."""

    def change(one: JSON) -> JSON:
        if not isinstance(one, dict):
            return one
        going = _free({old: new for old, new in names.items() if old in one}, one)
        return {going.get(name, name): inner for name, inner in one.items()} if going else one

    return changed_at(value, parent, change)


def _free(going: dict[str, str], members: Mapping[str, JSON]) -> dict[str, str]:
    """Those whose new name is not taken, nor becomes the name of one before it."""
    while True:
        taken = {name for name in members if name not in going}
        kept: dict[str, str] = {}
        for old, new in going.items():
            if new not in taken:
                kept[old] = new
                taken.add(new)
        if len(kept) == len(going):
            return kept
        going = kept  # one that stays keeps its own name from others


def moved(value: JSON, above: Path, source: Sequence[str], target: Sequence[str]) -> JSON:
    """The value with what is at `source` in the objects at `above` put at `target` in them. Objects
    that are missing there are made; one that is emptied by it stays."""

    def change(one: JSON) -> JSON:
        rest, found = _taken_out(one, source)
        if found is _NOTHING:
            return one
        placed = _put(rest, target, found)
        return one if placed is _NOTHING else placed

    return changed_at(value, above, change)


def _taken_out(value: JSON, names: Sequence[str]) -> tuple[JSON, JSON]:
    """The value without what is at the names, and that."""
    name = names[0]
    if not isinstance(value, dict) or name not in value:
        return value, _NOTHING
    if len(names) == 1:
        return {other: one for other, one in value.items() if other != name}, value[name]
    rest, found = _taken_out(value[name], names[1:])
    return {**value, name: rest}, found


def _put(value: JSON, names: Sequence[str], what: JSON) -> JSON:
    """The value with something put at the names; _NOTHING where that is taken, or no object."""
    name = names[0]
    if not isinstance(value, dict):
        return _NOTHING
    if len(names) > 1:
        what = _put(value.get(name, {}), names[1:], what)
        return what if what is _NOTHING else {**value, name: what}
    return _NOTHING if name in value else {**value, name: what}


def completed(value: JSON, above: Path, names: Sequence[str], default: JSON) -> JSON:
    """The value with a default at the names in the objects at `above`, where nothing is. Objects
    that are missing on the way are made. A member that is null is there."""

    def change(one: JSON) -> JSON:
        placed = _put(one, names, default)
        return one if placed is _NOTHING else placed

    return changed_at(value, above, change)


def without_nulls(value: JSON) -> JSON:
    """The value without members that are null, at any depth. Items of arrays keep their places, and
    objects that are empty then stay."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value


def grouped(value: JSON, parent: Path, group: str, names: Sequence[str]) -> JSON:
    """The value with members of the objects at `parent` put together, as an object named `group` in
    the place of the first of them. Those that are not there are left out; for none, no group."""

    def change(one: JSON) -> JSON:
        if not isinstance(one, dict):
            return one
        inside = {name: one[name] for name in names if name in one}
        if not inside or (group in one and group not in inside):
            return one
        found: dict[str, JSON] = {}
        for name, inner in one.items():
            if name not in inside:
                found[name] = inner
            elif group not in found:
                found[group] = inside
        return found

    return changed_at(value, parent, change)


def wrapped(value: JSON, name: str) -> JSON:
    """An object with nothing but the value, of whatever kind, as its member."""
    return {name: value}


def unwrapped(value: JSON, name: str) -> JSON:
    """The member of an object that has nothing else; others would be lost, so that another value
    stays as it is."""
    if isinstance(value, dict) and len(value) == 1 and name in value:
        return value[name]
    return value

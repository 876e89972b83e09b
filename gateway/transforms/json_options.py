"""What `RequestJSON` and `ResponseJSON` do to a body: options, worked off in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.policy import PolicyContext
from gateway.transforms import operations
from gateway.transforms.codec import JSON, dumps, loads
from gateway.transforms.json_paths import EACH, Path, parse_path, parted
from gateway.transforms.reading import MAX_BYTES
from gateway.transforms.transform import Transform

_Step = Callable[[JSON], JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class JSONOptions(Transform):
    """The options that both have. Paths name what is in the body as it came; see
    gateway.transforms.json_paths.

    deny: paths of what is taken out.
    allow: paths of all that stays; None: everything.
    rename: a path, and the new name of its last part, which keeps its place.
    move: a path, and the path where that is put. With `*`, both begin alike up to the last one.
    defaults: a path, and the JSON value that is put there if nothing is.
    drop_nulls: take out members that are null, at any depth.
    group: the path of a new object, and the names of members beside it that are put into it.
    unwrap: the member that takes the place of an object in which it is alone; empty: none.
    wrap: the name under which the whole body is put into a new object; empty: not.
    strict: another body than JSON is refused; otherwise it passes as it is.
    max_bytes: of a body, as it came and decoded.
    """

    deny: Collection[str] = ()
    allow: Collection[str] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    move: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    drop_nulls: bool = False
    group: Mapping[str, Collection[str]] = field(default_factory=dict)
    unwrap: str = ""
    wrap: str = ""
    strict: bool = False
    max_bytes: int = MAX_BYTES
    _steps: tuple[_Step, ...] = field(init=False, repr=False, compare=False, default=())
    _wrong: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        found = _Steps(self)
        object.__setattr__(self, "_steps", tuple(found.steps))
        object.__setattr__(self, "_wrong", tuple(found.faults))

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        found = list(self._wrong)
        if type(self.max_bytes) is not int or self.max_bytes < 1:
            found.append(f"max_bytes={self.max_bytes!r} must be at least 1, in bytes")
        if self.strict not in (True, False):
            found.append(f"strict={self.strict!r} must be True or False")
        if not (self._steps or self._wrong or self.strict):
            found.append(f"there is nothing to do: it needs strict, or one of {', '.join(_ORDER)}")
        return found

    def changed(self, value: JSON) -> JSON:
        """A body's value, with all of it done."""
        for step in self._steps:
            value = step(value)
        return value


class _Steps:
    """The steps that options ask for, in order, and what is wrong with the options."""

    def __init__(self, options: JSONOptions) -> None:
        self.steps: list[_Step] = []
        self.faults: list[str] = []
        self._options = options
        for name in _ORDER:
            try:
                self.steps += getattr(self, f"_{name}")(getattr(options, name))
            except (ValueError, TypeError, AttributeError) as error:
                self.faults.append(f"{name}: {error}")

    def _deny(self, paths: Collection[str]) -> Iterator[_Step]:
        for path in _paths(paths):
            yield partial(operations.denied, path=path)

    def _allow(self, paths: Collection[str] | None) -> Iterator[_Step]:
        if paths is not None:
            allowed = operations.Allowed.of(_paths(paths))
            yield partial(operations.allowed, paths=allowed)

    def _rename(self, names: Mapping[str, str]) -> Iterator[_Step]:
        inside: dict[Path, dict[str, str]] = {}
        for text, new in _pairs(names):
            parent, old = _place(text)
            inside.setdefault(parent, {})[old] = _name(new)
        # What is deeper first, while what is above still has the name that its path says.
        for parent in sorted(inside, key=len, reverse=True):
            yield partial(operations.renamed, parent=parent, names=inside[parent])

    def _move(self, paths: Mapping[str, str]) -> Iterator[_Step]:
        for text, other in _pairs(paths):
            above, source = parted(parse_path(text))
            also, target = parted(parse_path(other))
            if above != also or not source or not target:
                raise ValueError(
                    f"{text!r} and {other!r} must be the same up to the last '*', and go on with"
                    " names"
                )
            yield partial(operations.moved, above=above, source=source, target=target)

    def _defaults(self, values: Mapping[str, Any]) -> Iterator[_Step]:
        for text, value in _pairs(values):
            above, names = parted(parse_path(text))
            if not names:
                raise ValueError(f"the path {text!r} must end with a name")
            plain = _plain(text, value)
            yield partial(operations.completed, above=above, names=names, default=plain)

    def _drop_nulls(self, wanted: bool) -> Iterator[_Step]:
        if not isinstance(wanted, bool):
            raise TypeError("must be True or False")
        if wanted:
            yield operations.without_nulls

    def _group(self, groups: Mapping[str, Collection[str]]) -> Iterator[_Step]:
        for text, members in _pairs(groups):
            parent, name = _place(text)
            names = tuple(map(_name, _several(members)))
            if not names:
                raise ValueError(f"{text!r} must have names")
            yield partial(operations.grouped, parent=parent, group=name, names=names)

    def _unwrap(self, name: str) -> Iterator[_Step]:
        if name != "":
            yield partial(operations.unwrapped, name=_name(name))

    def _wrap(self, name: str) -> Iterator[_Step]:
        if name != "":
            yield partial(operations.wrapped, name=_name(name))


_ORDER = ("deny", "allow", "rename", "move", "defaults", "drop_nulls", "group", "unwrap", "wrap")


def _several(values: Collection[str]) -> Collection[str]:
    if isinstance(values, str | Mapping) or not isinstance(values, Collection):
        raise TypeError(f"{values!r} must be a collection, such as ['a', 'b']")
    return values


def _paths(values: Collection[str]) -> list[Path]:
    return [parse_path(value) for value in _several(values)]


def _pairs(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r} must be a dict, such as {{'a': ...}}")
    return values.items()


def _place(text: str) -> tuple[Path, str]:
    """The objects that a path leads to, and the name in them that it ends with."""
    path = parse_path(text)
    last = path[-1]
    if last is EACH or not isinstance(last, str):
        raise ValueError(f"the path {text!r} must end with a name")
    return path[:-1], last


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} must be a name")
    return value


def _plain(text: str, value: Any) -> JSON:
    """A JSON value without another one's types, so that nobody changes it afterwards."""
    try:
        return loads(dumps(value).decode())
    except (TypeError, ValueError) as error:
        raise ValueError(f"the default of {text!r} is no JSON: {error}") from None

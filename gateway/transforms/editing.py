"""The options that RequestHeaders, ResponseHeaders and Query have in common, read at start."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.exchange import UpstreamRequest
from gateway.policy import PolicyContext
from gateway.transforms.encodings import Encoding
from gateway.transforms.sources import Clocks, Source
from gateway.transforms.templates import Template, TemplateError, compile_template
from gateway.transforms.transform import Transform

_MAPPINGS = ("rename", "set", "add", "append")
_WRITING = ("set", "add", "append")

#: Why a transform stands before a policy that keeps answers.
UNKNOWN = "what is kept would not differ by what it writes"
KEPT = "what it writes would be kept, and be said of other requests"

Values = tuple[tuple[str, Template], ...]
Sent = Callable[[UpstreamRequest, str], list[str]]
Differences = Callable[[UpstreamRequest], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order. faults: what is wrong with options, which are then left out."""

    remove: tuple[str, ...]
    rename: dict[str, str]
    set: Values
    add: Values
    append: Values
    faults: list[str]

    @property
    def written(self) -> Iterator[tuple[str, str]]:
        """Every name that may be written, behind its option."""
        for option in _WRITING:
            yield from ((option, name) for name, _ in getattr(self, option))
        yield from (("rename", name) for name in self.rename.values())

    @property
    def taken(self) -> Iterator[tuple[str, str]]:
        """Every name that may be taken away, behind its option."""
        yield from (("remove", name) for name in self.remove)
        yield from (("rename", name) for name in self.rename)

    @property
    def sources(self) -> dict[str, Source]:
        """What all of its values are made of, by name."""
        values = (*self.set, *self.add, *self.append)
        return {name: source for _, one in values for name, source in one.sources.items()}

    def repeated(self, folded: Callable[[str], str]) -> list[str]:
        """A fault for each name that an option has twice. folded: names as they are compared."""
        found = [(option, folded(name)) for option, name in self.written]
        found += [("rename", folded(old)) for old in self.rename]
        return [f"{option}: {name} is there twice" for option, name in _repeated(found)]

    def differences(self, sent: Sent) -> Differences | None:
        """What a request is made to differ by beside its path: what its values are made of, and
        what is renamed, which backends may take for something else. None where that is nothing.

        sent: the values that a request has under a name.
        """
        telling = [(name, one.render) for name, one in self.sources.items() if one.tells]
        renamed = tuple(self.rename)
        if not telling and not renamed:
            return None

        def differ(request: UpstreamRequest) -> tuple[str, ...]:
            told = [f"{name}={render(request, None)}" for name, render in telling]
            told += [f"{name}>{sent(request, name)}" for name in renamed]
            return (*request.differs, *told)

        return differ


@dataclass(frozen=True, slots=True, repr=False)
class Editing(Transform):
    """remove: names. rename: new names by old ones. set, add, append: templates by name. They are
    worked off in this order. wall, monotonic: clocks."""

    remove: Collection[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    append: Mapping[str, str] = field(default_factory=dict)
    wall: Callable[[], float] = field(default=time.time, kw_only=True)
    monotonic: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    plan: Plan = field(init=False, compare=False)

    encoding: ClassVar[Encoding]
    answers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", _read(self))

    def __repr__(self) -> str:
        options = {name: getattr(self, name) for name in ("remove", *_MAPPINGS)}
        # The names alone: values may be secrets.
        told = (f"{name}={sorted(map(str, one))}" for name, one in options.items() if one)
        return f"{type(self).__name__}({', '.join(told)})"

    def faults(self, context: PolicyContext) -> list[str]:
        """What is wrong with the options."""
        plan = self.plan
        found = [*plan.faults, *self.wrong_names(context)]
        if not found and not any(plan.written) and not any(plan.taken):
            return ["it changes nothing"]
        return found

    def wrong_names(self, context: PolicyContext) -> list[str]:
        """What is wrong with the names."""
        raise NotImplementedError


def _read(options: Editing) -> Plan:
    faults: list[str] = []
    remove = options.remove
    others = isinstance(remove, str | Mapping)  # a mapping was meant as another option
    if others or not isinstance(remove, Collection) or not _are_names(remove):
        faults.append("remove must be names, such as ['X-Debug']")
        remove = ()
    told: dict[str, dict[str, Any]] = {}
    for option in _MAPPINGS:
        value = getattr(options, option)
        if not isinstance(value, Mapping) or not _are_names(value):
            faults.append(f"{option} must be a mapping by name, such as {{'X-Name': 'value'}}")
            value = {}
        told[option] = dict(value)
    if not _are_names(told["rename"].values()):
        faults.append("rename must give names, such as {'X-Old': 'X-New'}")
        told["rename"] = {}
    clocks = Clocks(options.wall, options.monotonic)
    values = {one: _values(one, told[one], options, clocks, faults) for one in _WRITING}
    return Plan(tuple(remove), told["rename"], **values, faults=faults)


def _are_names(values: Collection[Any]) -> bool:
    return all(isinstance(one, str) and one for one in values)


def _values(
    option: str, told: dict[str, Any], of: Editing, clocks: Clocks, faults: list[str]
) -> Values:
    found = []
    for name, text in told.items():
        try:
            template = compile_template(text, of.encoding, clocks, answers=of.answers)
        except TemplateError as error:
            faults.append(f"{option}: {name} {error}")
        else:
            found.append((name, template))
    return tuple(found)


def _repeated(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted({pair for pair in pairs if pairs.count(pair) > 1})

"""Parameters of the query changed on their way to a backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import quote, unquote_plus

from gateway.exchange import UpstreamRequest
from gateway.policy import PolicyContext
from gateway.transforms.editing import UNKNOWN, Differences, Editing, Plan, Values
from gateway.transforms.encodings import QUERY
from gateway.transforms.templates import Template
from gateway.urls import folded

# What a name may have in it as it is; brackets, as `filter[name]` is sent by most clients.
_NAME = "/:@!$()*~,[]"


@dataclass(frozen=True, slots=True, repr=False)
class Query(Editing):
    """Changes the parameters of the query, in this order:

    remove: names of parameters that do not reach the backend.
    rename: new names by old ones; a parameter that has the new name is replaced.
    set: values by name, instead of whatever was there; a value that comes out empty takes the
        parameter away, and does not leave the client's own.
    add: values by name, where there is no such parameter: clients can have their own.
    append: values by name, as a further parameter beside those there are.

    Values are templates (docs/transforms.md), percent-encoded. Names are compared decoded; what is
    not touched stays byte for byte, and in order. `remove` and `set` also mean what lax backends
    read as the same name: `ID`, `id[]` and `a=1;id=2` for `id`. It stands before `Cache` where the
    values differ by who asks or what was sent: answers are then kept apart by them.
    """

    _edit: _QueryEdit = field(init=False, compare=False)
    _differ: Differences | None = field(init=False, compare=False)

    per: ClassVar[str] = "request"
    encoding = QUERY

    def __post_init__(self) -> None:
        Editing.__post_init__(self)
        object.__setattr__(self, "_edit", _QueryEdit(self.plan))
        object.__setattr__(self, "_differ", self.plan.differences(_sent))

    @property
    def before(self) -> Mapping[str, str]:
        """See gateway.policy: what keeps answers has to know what they differ by."""
        return {} if self._differ is None else {"Cache": UNKNOWN, "Fallback": UNKNOWN}

    def wrong_names(self, context: PolicyContext) -> list[str]:
        """What is wrong with the names."""
        return self.plan.repeated(str)

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See transform.Outlining. Raises nothing."""
        target = self._edit(request)
        if self._differ is not None:
            return replace(request, target=target, differs=self._differ(request))
        return request if target == request.target else replace(request, target=target)


class _QueryEdit:
    """A plan made ready to be worked off; what is not in it costs nothing."""

    __slots__ = ("_add", "_append", "_removed", "_rename", "_replaced", "_set")

    def __init__(self, plan: Plan) -> None:
        self._removed = _Names(plan.remove)
        self._replaced = _Names([name for name, _ in plan.set])
        self._rename = {old: quote(new, safe=_NAME) for old, new in plan.rename.items()}
        self._set, self._add, self._append = map(_named, (plan.set, plan.add, plan.append))

    def __call__(self, request: UpstreamRequest) -> str:
        """The target as it is then. A value that comes out empty, and is not meant to be, is not
        written."""
        path, _, query = request.target.partition("?")
        sent = query.split("&") if query else []
        pairs = self._removed.without(sent)
        if self._rename:
            pairs = self._renamed(pairs)
        pairs = self._replaced.without(pairs)
        pairs = pairs + _written(self._set, request)
        if self._add:
            there = set(map(_decoded, pairs))
            pairs += _written([one for one in self._add if one[0] not in there], request)
        pairs += _written(self._append, request)
        if pairs == sent:
            return request.target
        return f"{path}?{'&'.join(pairs)}" if pairs else path

    def _renamed(self, pairs: list[str]) -> list[str]:
        """With new names; a parameter that had one of those before is replaced."""
        found = self._rename.keys() & set(map(_decoded, pairs))
        if not found:
            return pairs
        replaced = {unquote_plus(self._rename[old]) for old in found}
        named = [(_decoded(pair), pair) for pair in pairs]
        return [
            self._rename[name] + "".join(pair.partition("=")[1:]) if name in found else pair
            for name, pair in named
            if name not in replaced
        ]


class _Names:
    """Names of parameters to be taken out, also where lax backends alone would read them."""

    __slots__ = ("_exact", "_lax")

    def __init__(self, names: Collection[str]) -> None:
        # With brackets, one name is a part of what lax backends read.
        told = {name: _lax(quote(name)) for name in names}
        self._exact = frozenset(name for name, lax in told.items() if "[" in name or not lax)
        self._lax = frozenset(lax for name, lax in told.items() if name not in self._exact)

    def without(self, pairs: list[str]) -> list[str]:
        """The parameters less these."""
        if not (self._exact or self._lax):
            return pairs
        found = []
        for pair in pairs:
            if ";" not in pair:
                if not self._is_named(pair):
                    found.append(pair)
            elif parts := [part for part in pair.split(";") if not self._is_named(part)]:
                found.append(";".join(parts))
        return found

    def _is_named(self, pair: str) -> bool:
        given = pair.partition("=")[0]
        if _lax(given) in self._lax:
            return True
        return bool(self._exact) and unquote_plus(given) in self._exact


_Written = list[tuple[str, str, Template]]


def _named(values: Values) -> _Written:
    """Each value behind its name, and that as it is written."""
    return [(name, quote(name, safe=_NAME), template) for name, template in values]


def _written(values: _Written, request: UpstreamRequest) -> list[str]:
    found = []
    for _, name, template in values:
        value = template.render(request, None)
        if value or template.constant is not None:
            found.append(f"{name}={value}")
    return found


def _lax(given: str) -> str:
    """A name as the laxest of backends reads it; `_id` is not `id` to any of them."""
    return f"_{folded(given)}" if _decoded(given)[:1] in ("_", ".") else folded(given)


def _decoded(pair: str) -> str:
    given = pair.partition("=")[0]
    return unquote_plus(given) if "%" in given or "+" in given else given


def _sent(request: UpstreamRequest, name: str) -> list[str]:
    pairs = request.target.partition("?")[2].split("&")
    return [pair.partition("=")[2] for pair in pairs if _decoded(pair) == name]

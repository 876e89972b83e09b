"""Header fields changed on their way to a backend, and on the way back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway import forwarded, headers
from gateway.exchange import UpstreamRequest, UpstreamResponse
from gateway.policy import PolicyContext
from gateway.transforms.editing import KEPT, UNKNOWN, Differences, Editing, Plan
from gateway.transforms.encodings import FIELD
from gateway.transforms.field_edit import FieldEdit, settled

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Servers hand fields to programs under names that know letters and digits only.
_ALIKE = re.compile(r"[^a-z0-9]")

# What the gateway writes: where a request goes, where a message ends, and who asks.
_OF_REQUESTS = headers.NEVER_FORWARDED | forwarded.ALWAYS | forwarded.CALLERS | forwarded.PLACES
_OF_ANSWERS = headers.HOP_BY_HOP | {"content-length", "via", "x-request-id"}
# Conditions and ranges: what a cache makes of an answer depends on what was asked.
_ASKING = frozenset(
    {"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
)
# Of these, a message has one (RFC 9110 section 5.3, RFC 6265 section 5.4).
_SINGLE = _ASKING | {
    *("age", "authorization", "content-location", "content-range", "content-type", "cookie"),
    *("date", "etag", "expires", "from", "last-modified", "location", "max-forwards", "referer"),
    *("retry-after", "server", "user-agent"),
}


@dataclass(frozen=True, slots=True, repr=False)
class RequestHeaders(Editing):
    """Changes the fields of requests, in this order:

    remove: names of fields that do not reach the backend.
    rename: new names by old ones; a field that has the new name is replaced.
    set: values by name, instead of whatever was there; a value that comes out empty takes the field
        away, and does not leave the client's own.
    add: values by name, where there is no such field, or an empty one: clients can have their own.
    append: values by name, as a further field beside those there are.

    Values are templates (docs/transforms.md). Names count in any case. The gateway's own fields
    (where a request goes, who asks) are faults at start. It stands before `Cache` where the values
    differ by who asks or what was sent: answers are then kept apart by them.
    """

    _edit: FieldEdit = field(init=False, compare=False)
    _differ: Differences | None = field(init=False, compare=False)

    per: ClassVar[str] = "request"
    encoding = FIELD

    def __post_init__(self) -> None:
        Editing.__post_init__(self)
        object.__setattr__(self, "_edit", FieldEdit(self.plan))
        object.__setattr__(self, "_differ", self.plan.differences(_sent))

    @property
    def before(self) -> Mapping[str, str]:
        """See gateway.policy: what keeps answers has to know what they differ by."""
        if self._differ is not None:
            return {"Cache": UNKNOWN, "Fallback": UNKNOWN}
        asks = any(name.lower() in _ASKING for _, name in self.plan.written)
        return {"Cache": UNKNOWN} if asks else {}

    def wrong_names(self, context: PolicyContext) -> list[str]:
        """What is wrong with the names."""
        found = _wrong_names(self.plan, _OF_REQUESTS | context.told, ("x-forwarded-",))
        new = {_plain(name) for name in self.plan.rename.values()} - _OF_REQUESTS
        forged = sorted(new & forwarded.UNTRUSTED)
        return found + [
            f"rename: {name} would be a client's word on where it is" for name in forged
        ]

    def outlined(self, request: UpstreamRequest) -> UpstreamRequest:
        """See transform.Outlining. Raises nothing."""
        fields = self._edit(request.headers, request, None)
        if self._differ is None:
            return replace(request, headers=fields)
        return replace(request, headers=fields, differs=self._differ(request))


@dataclass(frozen=True, slots=True, repr=False)
class ResponseHeaders(Editing):
    """Changes the fields of answers, as RequestHeaders does those of requests.

    Behind `Cache` it changes what is kept: `Cache-Control` too. So what differs from answer to
    answer stands before it, and before `Fallback`. Answers of the gateway itself, such as errors,
    have no such fields, and what it adds to all answers (`X-Request-ID`, limits) comes later.
    """

    _edit: FieldEdit = field(init=False, compare=False)

    encoding = FIELD
    answers = True

    def __post_init__(self) -> None:
        Editing.__post_init__(self)
        object.__setattr__(self, "_edit", FieldEdit(self.plan))

    @property
    def before(self) -> Mapping[str, str]:
        """See gateway.policy: what a cache keeps, others get."""
        passing = self.plan.sources.keys() - {"service"}
        return {"Cache": KEPT, "Fallback": KEPT} if passing else {}

    def wrong_names(self, context: PolicyContext) -> list[str]:
        """What is wrong with the names."""
        return _wrong_names(self.plan, _OF_ANSWERS)

    def returned(self, request: UpstreamRequest, response: UpstreamResponse) -> UpstreamResponse:
        """See transform.Returning. Raises nothing."""
        fields = settled(response.headers)
        return replace(response, headers=self._edit(fields, request, response))


def _sent(request: UpstreamRequest, name: str) -> list[str]:
    lower = name.lower()
    return [value for given, value in request.headers if given.lower() == lower]


def _plain(name: str) -> str:
    return _ALIKE.sub("-", name.lower())


def _wrong_names(plan: Plan, own: Set[str], prefixes: tuple[str, ...] = ()) -> list[str]:
    """own: fields that the gateway writes, or that begin like these prefixes, in lower case."""
    own = {_plain(name) for name in own}
    named = [*plan.taken, *plan.written]
    found = [f"{option}: {name!r} is no name of a field" for option, name in named if not _is(name)]
    found += [
        f"{option}: {name} is the gateway's own to write"
        for option, name in dict.fromkeys(named)
        if _plain(name) in own or _plain(name).startswith(prefixes)
    ]
    found += [
        f"append: there can be one {name} only"
        for name, _ in plan.append
        if name.lower() in _SINGLE
    ]
    return found + plan.repeated(str.lower)


def _is(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None

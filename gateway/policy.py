"""What a policy may know of the gateway it works in, and which orders of policies make sense.

A policy is a frozen dataclass of its options. It is wrapped around the rest of the chain once, at
start, by one of

    __call__(next: Handler) -> Handler
    wrap(next: Handler, context: PolicyContext) -> Handler      where it needs more than its options

and may say about itself, all optional:

    per: "request", "attempt" or "either"     whether it belongs above or below what repeats
    repeats: bool                             it may send a request more than once
    once: bool                                a list may hold it only once
    stacks: bool                              a view's or a version's is used beside the service's
                                              of its class, not in its place
    before: tuple of class names              those that make sense only further in; a mapping of
                                              them says why, if it is not the usual reason
    needs: tuple of names                     services it sends requests to, beside its own
    faults(context) -> list of str            what is wrong with its options, found at start
    apart(context) -> (request) -> str        what answers to a request differ by that it makes no
                                              change to; empty for nothing that is known
    explained(request, context) -> Explained  what it would do with a request now; it counts, keeps
                                              and asks nothing
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.errors import Refusal, UpstreamError
from gateway.exchange import Handler, Policy, SituatedPolicy, UpstreamRequest
from gateway.option_kinds import judged
from gateway.pulse import Pulse
from gateway.state import SharedState
from settings import Settings


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """The gateway as a policy sees it.

    service: the name of the service it works for. services: the names of all. state: what the
    workers share. pulse: what goes on beside requests. handler_of: the whole chain of another
    service, by name; it may be called before that service is made, and used afterwards. commons:
    what policies of one application have in common, by a name; the first that needs it makes it.
    view: the endpoint of the view whose own policy this is; empty for a service's. told: request
    fields, in lower case, in which schemes and tokens tell this service's backend who asks.
    declared: of a version, which is a service of its own, the name of the service that has it;
    otherwise empty. listed: whether the policy is in a list of the service or of a view, where
    others find its options; False for one that a view gives to a part of its answer. prefixes:
    those below which clients find the service, in any of its versions.
    """

    service: str
    services: frozenset[str]
    settings: Settings
    state: SharedState
    pulse: Pulse
    handler_of: Callable[[str], Handler]
    commons: dict[str, Any] = field(default_factory=dict)
    view: str = ""
    told: frozenset[str] = frozenset()
    declared: str = ""
    listed: bool = True
    prefixes: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The service's name as a request's record has it, whatever the version."""
        return self.declared or self.service

    def is_own(self, name: str) -> bool:
        """Whether this name of a service would lead back to its own chain."""
        return name in (self.service, self.declared)


@dataclass(frozen=True, slots=True)
class Explained:
    """What a policy would do with a request, for `flask gateway explain`.

    does: in words. kept: what is known of an answer that could be used again. answer: the status of
    the one that it would give without going on; None: it goes on. instead: what it may answer with
    where the rest fails; empty: nothing. elsewhere: the service that gets the request; empty: its
    own. circuit: the name in the state of the circuit that was asked. admit: which instances it
    lets the request be sent to; None: all. refuses: what the request is answered with. personal:
    whether all this depends on who asks.
    """

    does: tuple[str, ...] = ()
    kept: Mapping[str, Any] | None = None
    answer: int | None = None
    instead: str = ""
    elsewhere: str = ""
    circuit: str = ""
    admit: Callable[[str], bool] | None = None
    refuses: UpstreamError | Refusal | None = None
    personal: bool = False


#: See `explained` above.
Explaining = Callable[[UpstreamRequest, PolicyContext], Explained]


def chain(policies: Sequence[Policy], transport: Handler, context: PolicyContext) -> Handler:
    """The onion: the first policy outermost, the transport inside. None configured, no frame."""
    handler = transport
    for policy in reversed(policies):
        if isinstance(policy, SituatedPolicy) and callable(policy.wrap):  # and no option's value
            handler = policy.wrap(handler, context)
        elif callable(policy):
            handler = policy(handler)
    return handler


def policy_faults(policies: Sequence[Policy], context: PolicyContext) -> list[str]:
    """What is wrong with a service's list of policies."""
    strange = [policy for policy in policies if not _is_policy(policy)]
    if strange:
        return [f"{one!r} is no policy: that is a value such as Retry()" for one in strange]
    found = order_faults(policies)
    for policy in policies:
        judge = getattr(policy, "faults", None)
        if judge is not None:
            found += [f"{_name(policy)}: {fault}" for fault in judged(partial(judge, context))]
    return found


def _is_policy(policy: object) -> bool:
    if isinstance(policy, type):
        return False
    return callable(policy) or isinstance(policy, SituatedPolicy)


def order_faults(policies: Sequence[Policy]) -> list[str]:
    """What is wrong with the order of a list."""
    found: list[str] = []
    for place, policy in enumerate(policies):
        name = _name(policy)
        above = policies[:place]
        if _told(policy, "once", False) and name in map(_name, above):
            found.append(f"{name} is there twice")
        repeating = [_name(other) for other in above if _told(other, "repeats", False)]
        if repeating and _told(policy, "per", "either") == "request":
            found.append(f"{name} works per request and must come before {repeating[0]}")
            continue  # whatever else it must come before
        if _told(policy, "repeats", False):
            found += [
                f"{_name(other)} works per attempt and must come after {name}"
                for other in above
                if _told(other, "per", "either") == "attempt"
            ]
        before = _told(policy, "before", ())
        found += [
            f"{name} must come before {_name(other)}: {_why(before, _name(other))}"
            for other in above
            if _name(other) in before
        ]
    return found


def _why(before: Collection[str], name: str) -> str:
    if isinstance(before, Mapping):
        return str(before[name])
    return "behind it, it would see nothing to do"


def _told(policy: Policy, what: str, default: Any) -> Any:
    return getattr(policy, what, default)


def _name(policy: Policy) -> str:
    return type(policy).__name__

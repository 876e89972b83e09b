"""The policies that a request goes through, one by one, to where it would be sent or answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.cli.services import shown
from gateway.exchange import Policy, UpstreamRequest
from gateway.explaining.case import Case
from gateway.explaining.masking import Masking
from gateway.policy import Explained, Explaining
from gateway.service import Runtime
from gateway.upstreams.overview import Overview
from gateway.view_policies import Layers, policies_of


@dataclass(slots=True)
class Walk:
    """A request on its way down a chain. `request` is what the next policy gets, `runtime` whose
    chain it is in by now.

    policies: what is told of each. cache: what one has. answered: the status of an answer that is
    kept; None: none is used. instead: what may be answered where the rest fails. admit: which
    targets a circuit lets it be sent to; None: all.
    """

    case: Case
    runtime: Runtime
    request: UpstreamRequest
    overview: Overview
    mask: Masking
    policies: list[dict[str, Any]] = field(default_factory=list)
    cache: dict[str, Any] | None = None
    answered: int | None = None
    instead: list[str] = field(default_factory=list)
    admit: Callable[[str], bool] | None = None
    _over: bool = False

    def go(self) -> None:
        """Go through all of them; `case.refusal` is why not, where one refuses."""
        left = layers(self.case, self.runtime)
        while left:
            policy, own = left.pop(0)
            told: dict[str, Any] = {"policy": shown(policy), "service": self.runtime.service.name}
            if own:
                told["view"] = self.case.route.endpoint
            self.policies.append(told)
            if self._over:
                told["reached"] = False
                continue
            refused = self.case.refusal
            elsewhere: list[str] = []
            self.case.take(partial(self._pass, policy, own, told, elsewhere))
            if self.case.refusal is not refused:
                told["refuses"] = self._over = True
            for name in elsewhere:
                self._leave(name, [one for one, _ in left])
                left = layers(self.case, self.runtime)

    def _pass(self, policy: Policy, own: bool, told: dict[str, Any], elsewhere: list[str]) -> None:
        """What one policy does with the request."""
        does: list[str] = []
        outlined = getattr(policy, "outlined", None)
        if outlined is not None:
            before, self.request = self.request, outlined(self.request)
            does += changes(before, self.request, self.mask)
        if hasattr(policy, "returned"):
            does.append("changes the answer")
        explained: Explaining | None = getattr(policy, "explained", None)
        if explained is not None:
            context = self.case.gateway.contexts[self.runtime.service.name]
            view = self.case.route.endpoint if own else ""
            found = explained(self.request, replace(context, view=view))
            self._take(found, told)
            does += found.does
            elsewhere += [found.elsewhere] if found.elsewhere else []
        if does:
            told["does"] = does

    def _take(self, found: Explained, told: dict[str, Any]) -> None:
        """What a policy says that it would do."""
        if found.kept is not None:
            self.cache = {**found.kept}
            if self.cache.get("url"):
                self.cache["url"] = self.mask.target(self.cache["url"])
        if found.personal and self.case.unidentified:
            self.cache = {"key": None, "why": "who asks is not known, and each caller has a key"}
            return
        if found.circuit:
            state = self.overview.state
            known = self.overview.circuit(found.circuit, state.clock())
            told["circuit"] = known or {"state": "closed", "failures": 0, "recovery": 0.0}
        if found.admit is not None:
            self.admit = found.admit
        if found.instead:
            self.instead.append(found.instead)
        if found.answer is not None:
            self.answered, self._over = found.answer, True
        if found.refuses is not None:
            raise found.refuses

    def _leave(self, name: str, left: Sequence[Policy]) -> None:
        """Go on in the chain of another service."""
        own = self.runtime.service.name
        self.policies += [{"policy": shown(p), "service": own, "reached": False} for p in left]
        other = self.case.gateway.runtimes[name]
        self.runtime = other if other.versions is None else other.versions.default
        self.request = self.request.passed_on(own, self.runtime.service.known_as)


def layers(case: Case, runtime: Runtime) -> list[tuple[Policy, bool]]:
    """The policies of a service, outermost first, and whether each is the view's own."""
    service, endpoint = runtime.service, case.route.endpoint
    own: Sequence[Policy] = ()
    if endpoint in runtime.views:
        own = policies_of(case.app.view_functions[endpoint])
    among = Layers.of(own, service.policies).among(service.policies)
    mine = {id(policy) for policy in own}
    return [(policy, id(policy) in mine) for policy in among]


def changes(before: UpstreamRequest, after: UpstreamRequest, mask: Masking) -> list[str]:
    """What a transform made of a request, in words."""
    if after is before:
        return []
    found = []
    if before.method != after.method:
        found.append(f"method {after.method}")
    if before.target != after.target:
        found.append(f"target {mask.target(after.target)}")
    old, new = list(before.headers), list(after.headers)
    found += [
        f"- {name}: {mask.value(name, value)}" for name, value in old if (name, value) not in new
    ]
    found += [
        f"+ {name}: {mask.value(name, value)}" for name, value in new if (name, value) not in old
    ]
    if before.body is not after.body:
        length = None if after.body is None else after.body.length
        found.append(f"body of {length} bytes" if length is not None else "another body")
    return found

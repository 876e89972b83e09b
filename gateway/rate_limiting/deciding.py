"""One decision for all limits of a request: all are counted, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.errors import Refusal
from gateway.rate_limiting.deducting import Waiting, deduct_later, waiting
from gateway.rate_limiting.fields import limit_fields, policy, quota_fields, retry_after
from gateway.rate_limiting.keys import key_of
from gateway.rate_limiting.pacing import SHORTEST, pace
from gateway.rate_limiting.quotas import Quota, Quotas
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.trial import in_force, on_trial
from gateway.rate_limiting.windows import Hit, StoreUnavailable, Window, Windows

if TYPE_CHECKING:
    from gateway.rate_limiting.context import LimitContext


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """The rules of one endpoint, and what is said of them on every response. quotas: those of
    the plan that is asked under. special: whether a rule is on trial or waits for the response."""

    rules: tuple[Rule, ...]
    policy: str
    quotas: tuple[Quota, ...] = ()
    special: bool = field(init=False)

    def __post_init__(self) -> None:
        special = any(rule.dry_run or rule.deduct_when is not None for rule in self.rules)
        object.__setattr__(self, "special", special)


def decide(
    limits: EndpointLimits, context: LimitContext, environ: dict[str, Any], *, tell: bool = True
) -> None:
    """Count a request against its endpoint's limits, and wait until its time has come if one spaces
    requests. tell: False to tell the client nothing of them. Raises Refusal (429) if one has no
    room; 503 if one would rather refuse than be decided by another store. For a wait see `pace`."""
    settings, windows, quotas = context.settings, context.windows, context.quotas
    tell, dry = tell and settings.RATE_LIMIT_HEADERS, settings.RATE_LIMIT_DRY_RUN
    key = key_of(environ)
    rules, hits, policies = applying(limits, environ, key)
    used = quotas.hits(limits.quotas, key) if limits.quotas else []
    if not hits and not used:
        return
    if dry:
        hits, used = on_trial(hits), on_trial(used)
    allowed, states = _ask(windows, [*hits, *used] if used else hits)
    left = states[len(hits) :]
    if used:
        del states[len(hits) :]
        if allowed:
            _count_quotas(limits.quotas, used, left, quotas, key, environ)
        if tell and not dry:
            environ["gateway.added"] += quota_fields(used, left)
    later: Waiting = []
    if dry or limits.special:
        later = waiting(rules, hits) if allowed else []
        rules, states = in_force(rules, hits, states, environ["gateway.exchange"])
    if tell and rules:
        environ["gateway.added"] += limit_fields(rules, states, policies)
    if not allowed:
        raise _refusal(rules, states, limits.quotas, left)
    _wait(states, environ)
    if later:
        deduct_later(later, windows, _again(rules, states, environ, tell))


def applying(
    limits: EndpointLimits, environ: dict[str, Any], key: str
) -> tuple[Sequence[Rule], list[Hit], str]:
    """The rules that apply to a request, what they count, and what is said of them."""
    found = [rule.hit(environ, key) for rule in limits.rules]
    hits = [hit for hit in found if hit is not None]
    if len(hits) == len(found):
        return limits.rules, hits, limits.policy
    rules = [rule for rule, hit in zip(limits.rules, found, strict=True) if hit is not None]
    return rules, hits, policy(rules)


def _wait(states: Sequence[Window], environ: dict[str, Any]) -> None:
    wait = max([state.wait for state in states], default=0.0)
    if wait > SHORTEST:
        pace(wait, environ)


def _ask(windows: Windows, hits: Sequence[Hit]) -> tuple[bool, list[Window]]:
    try:
        return windows.acquire(hits)
    except StoreUnavailable as error:
        raise unavailable(error) from None


def unavailable(error: StoreUnavailable) -> Refusal:
    """The refusal of a request that no other store may decide on: 503."""
    return Refusal(
        "Limits cannot be checked at the moment.",
        status=503,
        slug="limit_store_unavailable",
        headers=[("Retry-After", str(max(1, math.ceil(error.retry))))],
    )


def _count_quotas(
    plan: Sequence[Quota],
    used: Sequence[Hit],
    left: Sequence[Window],
    quotas: Quotas,
    key: str,
    environ: dict[str, Any],
) -> None:
    """Note what was counted in the plan's quotas. One without room is on trial, and was not."""
    counted = [number for number, window in enumerate(left) if not window.retry]
    quotas.counted([used[number] for number in counted], [left[number] for number in counted], key)
    if len(counted) < len(used):
        environ["gateway.exchange"].dry_run += [
            f"{quota.plan}-{quota.kind}"
            for quota, window in zip(plan, left, strict=True)
            if window.retry
        ]


def _refusal(
    rules: Sequence[Rule],
    states: Sequence[Window],
    quotas: Sequence[Quota],
    left: Sequence[Window],
) -> Refusal:
    """The answer where there is no room: that of a quota, if one is used up, as it lasts longer."""
    message, slug = next(
        ((q.message, "quota_exhausted") for q, w in zip(quotas, left, strict=True) if w.retry),
        ("", "rate_limited"),
    )
    if not message:
        full = next(r for r, s in zip(rules, states, strict=True) if s.retry)
        message = full.message
        if not message:
            message = f"The limit of {full.limit} requests in {full.seconds} s is used up."
    return Refusal(
        message, status=429, slug=slug, headers=[("Retry-After", retry_after([*left, *states]))]
    )


def _again(
    rules: Sequence[Rule], states: Sequence[Window], environ: dict[str, Any], tell: bool
) -> Callable[[Mapping[str, Window]], None]:
    """What tells the limits anew, when some of them have counted the response."""

    def again(fresh: Mapping[str, Window]) -> None:
        if tell and rules:
            now = [fresh.get(rule.name, s) for rule, s in zip(rules, states, strict=True)]
            fields = limit_fields(rules, now, policy(rules))
            names = {name for name, _ in fields}
            added = environ["gateway.added"]
            added[:] = [pair for pair in added if pair[0] not in names] + fields

    return again

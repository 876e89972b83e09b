"""One decision for all limits of a request: all are counted, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refusal
from gateway.rate_limiting.fields import limit_fields, policy, retry_after
from gateway.rate_limiting.keys import key_of
from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Hit, Windows


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """The rules of one endpoint, and what is said of them on every response."""

    rules: tuple[Rule, ...]
    policy: str


def decide(limits: EndpointLimits, windows: Windows, environ: dict[str, Any], tell: bool) -> None:
    """Count a request against its endpoint's limits. Raises Refusal (429) if one has no room."""
    key = key_of(environ)
    rules: Sequence[Rule] = limits.rules
    found = [rule.hit(environ, key) for rule in rules]
    hits: list[Hit] = [hit for hit in found if hit is not None]
    if not hits:
        return
    policies = limits.policy
    if len(hits) < len(found):
        rules = [rule for rule, hit in zip(rules, found, strict=True) if hit is not None]
        policies = policy(rules)
    allowed, states = windows.acquire(hits)
    if tell:
        environ["gateway.added"] += limit_fields(rules, states, policies)
    if not allowed:
        full = next(r for r, s in zip(rules, states, strict=True) if s.retry)
        raise Refusal(
            full.message or f"The limit of {full.limit} requests in {full.seconds} s is used up.",
            status=429,
            slug="rate_limited",
            headers=[("Retry-After", retry_after(states))],
        )

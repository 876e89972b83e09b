"""How clients are told their limits.

`X-RateLimit-*` for the tightest limit, with the reset in seconds from now, and the IETF's
`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for every one. A bucket's
policy is its rate, with the burst as a parameter of ours; what remains of it, and
`X-RateLimit-Limit`, are told of what can come at once, burst + 1. Quotas have fields of their own,
`X-Quota-*`, and none of these: waiting for a moment does not help there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Hit, Window

Fields = list[tuple[str, str]]


def policy(rules: Sequence[Rule]) -> str:
    """The value of `RateLimit-Policy`. Clients are not told of limits on trial."""
    return ", ".join(_policy_item(rule) for rule in rules if not rule.dry_run)


def _policy_item(rule: Rule) -> str:
    burst = "" if rule.burst is None else f";burst={rule.burst}"
    return f'"{rule.name}";q={rule.limit};w={rule.seconds}{burst}'


def limit_fields(rules: Sequence[Rule], windows: Sequence[Window], policies: str) -> Fields:
    """The fields of a response that these windows decided."""
    tightest = 0
    if len(rules) > 1:
        tightest = min(
            range(len(rules)),
            key=lambda i: (-windows[i].retry, windows[i].remaining / rules[i].capacity),
        )
    rule, window = rules[tightest], windows[tightest]
    current = ", ".join(
        f'"{r.name}";r={w.remaining};t={math.ceil(w.reset)}'
        for r, w in zip(rules, windows, strict=True)
    )
    return [
        ("X-RateLimit-Limit", str(rule.capacity)),
        ("X-RateLimit-Remaining", str(window.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(window.reset))),
        ("RateLimit-Policy", policies),
        ("RateLimit", current),
    ]


def quota_fields(hits: Sequence[Hit], windows: Sequence[Window]) -> Fields:
    """The fields of the tightest quota; the reset is in seconds from now."""
    pairs = zip(hits, windows, strict=True)
    hit, window = min(pairs, key=lambda one: (-one[1].retry, one[1].remaining / one[0].limit))
    return [
        ("X-Quota-Limit", str(hit.limit)),
        ("X-Quota-Remaining", str(window.remaining)),
        ("X-Quota-Reset", str(math.ceil(window.reset))),
    ]


def retry_after(windows: Sequence[Window]) -> str:
    """Seconds until every window has room, at least 1 (RFC 9110 section 10.2.3)."""
    return str(max(1, math.ceil(max(window.retry for window in windows))))

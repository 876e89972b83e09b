"""How clients are told their limits.

`X-RateLimit-*` for the tightest limit, with the reset in seconds from now, and the IETF's
`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) for every one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Window

Fields = list[tuple[str, str]]


def policy(rules: Sequence[Rule]) -> str:
    """The value of `RateLimit-Policy`."""
    return ", ".join(f'"{r.name}";q={r.limit};w={r.seconds}' for r in rules)


def limit_fields(rules: Sequence[Rule], windows: Sequence[Window], policies: str) -> Fields:
    """The fields of a response that these windows decided."""
    tightest = 0
    if len(rules) > 1:
        tightest = min(
            range(len(rules)),
            key=lambda i: (-windows[i].retry, windows[i].remaining / rules[i].limit),
        )
    rule, window = rules[tightest], windows[tightest]
    current = ", ".join(
        f'"{r.name}";r={w.remaining};t={math.ceil(w.reset)}'
        for r, w in zip(rules, windows, strict=True)
    )
    return [
        ("X-RateLimit-Limit", str(rule.limit)),
        ("X-RateLimit-Remaining", str(window.remaining)),
        ("X-RateLimit-Reset", str(math.ceil(window.reset))),
        ("RateLimit-Policy", policies),
        ("RateLimit", current),
    ]


def retry_after(windows: Sequence[Window]) -> str:
    """Seconds until every window has room, at least 1 (RFC 9110 section 10.2.3)."""
    return str(max(1, math.ceil(max(window.retry for window in windows))))

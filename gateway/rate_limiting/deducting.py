"""Limits that count only some responses: asked for room before, counted after; see `deduct_when`.

Between the two, requests that are under way at the same time find the same room: more of them may
be counted than the limit permits, and then there is none for that much longer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from flask import Response, after_this_request, request

from gateway.rate_limiting.rules import Rule
from gateway.rate_limiting.windows import Hit, Window, Windows

log = logging.getLogger("gateway.rate_limiting")

# What a request came to that a limit refused after this one found room.
_BY_LIMITS = frozenset({"concurrency_limited", "limit_store_unavailable"})

#: A rule that waits for the response, and what it is to count then.
Waiting = list[tuple[Rule, Hit]]


def waiting(rules: Sequence[Rule], hits: Sequence[Hit]) -> Waiting:
    """Those rules that wait for the response."""
    pairs = zip(rules, hits, strict=True)
    return [(rule, hit) for rule, hit in pairs if rule.deduct_when is not None]


def deduct_later(
    found: Waiting, windows: Windows, counted: Callable[[Mapping[str, Window]], None]
) -> None:
    """Have the current request counted by those rules that say so of its response. counted: told
    their windows then, by the names of the rules."""

    def count(response: Response) -> Response:
        if request.environ["gateway.exchange"].reason in _BY_LIMITS:
            return response
        said = [(rule, _after(hit)) for rule, hit in found if _says_so(rule, response)]
        if said:
            try:
                _, states = windows.acquire([hit for _, hit in said])
            except Exception as error:  # noqa: BLE001  there is a response already
                log.warning("a response was not counted: %s", type(error).__name__)
            else:
                counted({rule.name: s for (rule, _), s in zip(said, states, strict=True)})
        return response

    after_this_request(count)


def _after(hit: Hit) -> Hit:
    """What is counted of a hit that found room before: also where others have taken that since."""
    return replace(hit, peek=False, forced=not hit.dry)


def _says_so(rule: Rule, response: Response) -> bool:
    try:
        return rule.deduct_when is not None and bool(rule.deduct_when(response))
    except Exception:
        log.exception("deduct_when of limit %r failed: not counted", rule.name)
        return False

"""The limits of an endpoint, settled at start: one list, decided in one step per request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask_limiter import Limit

from gateway.rate_limiting.windows import Hit

MARK = "__gateway_limits__"
EXEMPT = "__gateway_exempt__"


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of an endpoint.

    name: how clients see it. scope: what shares it. key: whose it is, None for the usual key.
    users_only: skipped for anonymous requests. methods: None for all.
    """

    name: str
    scope: str
    limit: int
    seconds: int
    cost: int | Callable[[], int] = 1
    key: Callable[[], str] | None = None
    methods: frozenset[str] | None = None
    per_method: bool = False
    exempt_when: Callable[[], bool] | None = None
    users_only: bool = False
    message: str = ""

    def hit(self, environ: dict[str, Any], key: str) -> Hit | None:
        """What to count for a request whose usual key is `key`; None if the rule does not apply."""
        method = environ["REQUEST_METHOD"]
        if self.methods is not None and method not in self.methods:
            return None
        if self.users_only and environ.get("gateway.identity") is None:
            return None
        if self.exempt_when is not None and self.exempt_when():
            return None
        if self.key is not None:
            key = self.key()
        scope = f"{self.scope}:{method}" if self.per_method else self.scope
        cost = self.cost() if callable(self.cost) else self.cost
        return Hit(f"{key}|{scope}|{self.limit}", self.limit, self.seconds, cost)


def rules_of(
    declared: Iterable[Limit], name: str, scope: str, usual_key: Callable[[], str]
) -> list[Rule]:
    """The rules of declared limits. Raises ValueError for a limit that cannot be read."""
    rules = []
    for limit in declared:
        for item in (runtime.limit for runtime in limit):
            shared = limit.shared and limit.scope
            place = str(limit.scope) if shared else scope
            if limit.scope and not shared:
                place = f"{scope}:{limit.scope}"
            seconds = item.get_expiry()
            message = limit.error_message
            rules.append(
                Rule(
                    f"{str(limit.scope) if shared else name}-{seconds}",
                    place,
                    item.amount,
                    seconds,
                    limit.cost or 1,
                    None if item_key(limit) is usual_key else item_key(limit),
                    frozenset(m.upper() for m in limit.methods) if limit.methods else None,
                    limit.per_method,
                    limit.exempt_when,
                    message=message() if callable(message) else message or "",
                )
            )
    return rules


def item_key(limit: Limit) -> Callable[[], str]:
    """The key function of a declared limit."""
    return limit.key_function or limit.limiter._key_func  # Flask-Limiter's own


def distinct(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules without repetitions, shortest window first, as Flask-Limiter orders them."""
    seen: dict[tuple[str, int, int, object], Rule] = {}
    for rule in rules:
        seen.setdefault((rule.scope, rule.limit, rule.seconds, rule.key), rule)
    return tuple(sorted(seen.values(), key=lambda rule: (rule.seconds, rule.limit)))

"""The rules that declared limits come to: one list for each endpoint, decided in one step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from flask import Response
from flask_limiter import Limit
from limits import RateLimitItem

from gateway.authorization import ALL_METHODS
from gateway.plan_fields import MOST
from gateway.rate_limiting.windows import Hit, OnFailure

MARK = "__gateway_limits__"
EXEMPT = "__gateway_exempt__"
#: The scope of RATE_LIMIT_DEFAULT: none that a service could have.
EVERYBODY = "*default"

# What may stand between the quotes of a header field (RFC 9651 section 3.3.3).
_NAME = re.compile(r"[ !#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of an endpoint.

    name: how clients see it. scope: what shares it. key: whose it is, None for the usual key.
    users_only: skipped for anonymous requests. methods: None for all. burst, nodelay, deduct_when,
    dry_run, on_failure: see Limiter.limit.
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
    burst: int | None = None
    nodelay: bool = True
    deduct_when: Callable[[Response], bool] | None = None
    dry_run: bool = False
    on_failure: OnFailure = "local"

    @property
    def capacity(self) -> int:
        """How much may be counted at once when nothing was before."""
        return self.limit if self.burst is None else self.burst + 1

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
        cost = self.cost
        if callable(cost):
            cost = max(int(cost()), 0)
        return Hit(
            f"{key}|{scope}|{self.limit}",
            self.limit,
            self.seconds,
            cost,
            burst=self.burst,
            paced=not self.nodelay,
            dry=self.dry_run,
            peek=self.deduct_when is not None,
            on_failure=self.on_failure,
        )


def rules_of(
    declared: Iterable[Limit], name: str, scope: str, usual_key: Callable[[], str]
) -> list[Rule]:
    """The rules of declared limits. Raises ValueError for a limit that cannot be read or kept."""
    rules = []
    for limit in declared:
        items = [runtime.limit for runtime in limit]
        if not items:
            raise ValueError(f"no limit in {limit.limit_provider!r}")
        rules += [_rule(limit, item, name, scope, usual_key) for item in items]
    return rules


def _rule(
    limit: Limit, item: RateLimitItem, name: str, scope: str, usual_key: Callable[[], str]
) -> Rule:
    seconds = item.get_expiry()
    cost = 1 if limit.cost is None else limit.cost
    options = _options(limit)
    _check(options, cost, item)
    _check_declared(limit)
    name = str(limit.scope) if limit.shared and limit.scope else name
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be told to clients: plain ASCII without quotes only")
    message = limit.error_message
    key = item_key(limit)
    return Rule(
        f"{name}-{seconds}",
        _scope(limit, scope),
        item.amount,
        seconds,
        cost,
        None if key is usual_key else key,
        frozenset(m.upper() for m in limit.methods) if limit.methods else None,
        limit.per_method,
        limit.exempt_when,
        message=message() if callable(message) else message or "",
        **options,
    )


def _check(options: Mapping[str, Any], cost: int | Callable[[], int], item: RateLimitItem) -> None:
    """Raises ValueError for options that cannot be kept."""
    burst = options.get("burst")
    if burst is not None and (type(burst) is not int or burst < 0):
        raise ValueError(f"burst={burst!r} must be a whole number, 0 or more, or None")
    if (most := max(item.amount, burst or 0)) >= MOST:
        raise ValueError(f"{most} is more than can be counted")
    for name in ("nodelay", "dry_run"):
        if type(options.get(name, True)) is not bool:
            raise ValueError(f"{name}={options[name]!r} must be True or False")
    if not options.get("nodelay", True) and burst is None:
        raise ValueError("nodelay=False needs a burst: how many may wait for their time")
    deduct_when = options.get("deduct_when")
    if deduct_when is not None and not callable(deduct_when):
        raise ValueError(f"deduct_when={deduct_when!r} is no function of a response")
    if deduct_when is not None and not options.get("nodelay", True):
        raise ValueError("deduct_when counts after the response: nodelay=False holds nothing back")
    if options.get("on_failure", "local") not in get_args(OnFailure):
        wrong = options["on_failure"]
        raise ValueError(f"on_failure={wrong!r} must be one of {', '.join(get_args(OnFailure))}")
    if not callable(cost):
        _check_cost(cost, burst, item)


def _check_declared(limit: Limit) -> None:
    """Raises ValueError for Flask-Limiter's own options that cannot be kept."""
    named = {"key_func": item_key(limit), "exempt_when": limit.exempt_when}
    for name, function in named.items():
        if function is not None and not callable(function):
            raise ValueError(f"{name}={function!r} is no function")
    unknown = sorted({method.upper() for method in limit.methods or ()} - set(ALL_METHODS))
    if unknown:
        raise ValueError(f"methods {unknown} are none that are served")


def _check_cost(cost: int, burst: int | None, item: RateLimitItem) -> None:
    if type(cost) is not int:
        raise ValueError(f"cost {cost!r} is neither a whole number nor a function")
    if burst is not None and not 0 < cost <= burst + 1:
        raise ValueError(f"cost {cost} does not lie between 1 and burst + 1, {burst + 1}")
    if not item.amount:
        raise ValueError("a limit of 0 permits nothing")
    if burst is None and not 0 < cost <= item.amount:
        raise ValueError(f"cost {cost} does not lie between 1 and the limit, {item}")


def _options(limit: Limit) -> dict[str, Any]:
    """The gateway's own options of a declared limit."""
    options = getattr(limit, "options", None)
    return {} if options is None else {f.name: getattr(options, f.name) for f in fields(options)}


def _scope(limit: Limit, scope: str) -> str:
    """What a limit counts together. Limits for some methods do not count what others count."""
    if limit.shared and limit.scope:
        scope = f"shared:{limit.scope}"
    elif limit.scope:
        scope = f"{scope}:{limit.scope}"
    if limit.methods:
        scope += ":" + "+".join(sorted(m.upper() for m in limit.methods))
    return scope


def item_key(limit: Limit) -> Callable[[], str]:
    """The key function of a declared limit."""
    return limit.key_function or limit.limiter._key_func  # Flask-Limiter's own


def distinct(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules without repetitions, shortest window first, as Flask-Limiter orders them, each
    with a name of its own. Raises ValueError if two would count in one window."""
    kept = sorted(dict.fromkeys(rules), key=lambda rule: (rule.seconds, rule.limit))
    windows: set[tuple[str, int, int, bool]] = set()
    names: Counter[str] = Counter()
    named = []
    for rule in kept:
        # A bucket and a window of the same numbers count apart.
        window = (rule.scope, rule.limit, rule.seconds, rule.burst is None)
        if window in windows:
            raise ValueError(
                f"two limits of {rule.limit} in {rule.seconds} s differ only in their options:"
                " give one of them a scope"
            )
        windows.add(window)
        names[rule.name] += 1
        again = names[rule.name]
        named.append(replace(rule, name=f"{rule.name}-{again}") if again > 1 else rule)
    return tuple(named)

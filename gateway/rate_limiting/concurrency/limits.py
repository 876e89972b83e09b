"""The concurrency limits of every endpoint, settled at start from what is declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask

from gateway.rate_limiting.concurrency.declaring import MARK, DeclaredConcurrency, Per
from gateway.rate_limiting.concurrency.slots import Claim
from gateway.rate_limiting.endpoints import owners
from gateway.rate_limiting.rules import EXEMPT
from gateway.rate_limiting.windows import OnFailure
from gateway.routes import Route


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """One limit of an endpoint: at most `limit` requests at the same time in `scope`."""

    scope: str
    limit: int
    per: Per = "all"
    dry: bool = False
    on_failure: OnFailure = "local"

    def claim(self, key: str) -> Claim:
        """What a request of `key` needs to go on."""
        name = self.scope if self.per == "all" else f"{self.scope}|{key}"
        return Claim(name, self.limit, self.dry, self.on_failure)

    @property
    def name(self) -> str:
        """How the log calls it."""
        return f"{self.scope.removeprefix('*')}-concurrency"

    def __str__(self) -> str:
        whose = "" if self.per == "all" else " per identity"
        return f"{self.scope} {self.limit} at once{whose}"


Limits = Mapping[str, tuple[ConcurrencyLimit, ...]]


def compile_concurrency(
    app: Flask, routes: Mapping[str, Route], *, dry: bool = False
) -> tuple[Limits, list[str]]:
    """The limits of every endpoint that is not exempt, and what is wrong. dry: none refuses."""
    found: dict[str, tuple[ConcurrencyLimit, ...]] = {}
    faults: list[str] = []
    for endpoint, route in routes.items():
        levels: dict[str, Any] = {endpoint: app.view_functions[endpoint]}
        levels |= owners(app, endpoint)
        if route.internal or any(getattr(level, EXEMPT, False) for level in levels.values()):
            continue
        limits: list[ConcurrencyLimit] = []
        for scope, level in levels.items():
            declared: list[DeclaredConcurrency] = getattr(level, MARK, [])
            limits += [_limit(scope, one, dry) for one in declared]
            if len({one.per for one in declared}) < len(declared):
                faults.append(f"{scope!r}: two concurrency limits of the same kind")
        found[endpoint] = tuple(limits)
    return found, sorted(set(faults))


def _limit(scope: str, declared: DeclaredConcurrency, dry: bool) -> ConcurrencyLimit:
    return ConcurrencyLimit(
        scope, declared.limit, declared.per, dry or declared.dry_run, declared.on_failure
    )

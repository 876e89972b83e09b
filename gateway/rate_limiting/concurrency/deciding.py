"""The slots of a request: taken when nothing else refuses it, given back however it ends."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from gateway.authentication.identity import Identity
from gateway.errors import Refusal
from gateway.rate_limiting.concurrency.limits import ConcurrencyLimit, Limits
from gateway.rate_limiting.concurrency.slots import Held, SlotStore, refused
from gateway.rate_limiting.deciding import unavailable
from gateway.rate_limiting.exemptions import Exemptions
from gateway.rate_limiting.keys import key_of
from gateway.rate_limiting.plans import Plans
from gateway.rate_limiting.windows import StoreUnavailable
from gateway.routes import UNMATCHED, Route

log = logging.getLogger("gateway.rate_limiting")

# The scope of a plan's limit: none that a service could have.
_PLAN = "*plan"


class Concurrency:
    """Decides the concurrency limits of one application.

    limits: by endpoint; one that is not there is exempt. plans: None where nobody has one. dry:
    plans refuse nothing either.
    """

    def __init__(
        self,
        limits: Limits,
        plans: Plans | None,
        store: SlotStore,
        held: Held,
        exempt: Exemptions,
        *,
        dry: bool = False,
    ) -> None:
        self._limits = limits
        self._plans = plans
        self._store = store
        self._held = held
        self._exempt = exempt
        self._dry = dry
        self._tokens = _Tokens()

    def keep(self) -> None:
        """What is to be done at each beat."""
        self._store.keep()

    def enter(self, environ: dict[str, Any]) -> None:
        """The step that takes a request's slots. Raises Refusal: 429, or 503 where a limit would
        rather refuse than be decided by another store."""
        limits = self._of(environ)
        if not limits or self._exempt.cover(environ):
            return
        key = key_of(environ)
        claims = [limit.claim(key) for limit in limits]
        token = self._tokens.next()
        exchange = environ["gateway.exchange"]
        # Before they are taken: whatever interrupts that, none stays behind.
        exchange.endings.append(partial(self._leave, [claim.key for claim in claims], token))
        try:
            full = self._store.take(claims, token)
        except StoreUnavailable as error:
            raise unavailable(error) from None
        if full:
            exchange.dry_run += [limits[number].name for number in full if claims[number].dry]
        if refused(claims, full):
            raise refusal_of(next(limits[number] for number in full if not claims[number].dry))

    def look(self, environ: dict[str, Any]) -> list[tuple[ConcurrencyLimit, int]]:
        """The limits of a request, and how many hold a slot of each now. None is taken. Raises
        what the store raises."""
        limits = self._of(environ)
        if not limits or self._exempt.cover(environ):
            return []
        key = key_of(environ)
        taken = self._store.taken([limit.claim(key).key for limit in limits])
        return list(zip(limits, taken, strict=True))

    def _of(self, environ: dict[str, Any]) -> Sequence[ConcurrencyLimit]:
        """The limits of a request: its endpoint's, and its plan's."""
        route: Route = environ.get("gateway.route", UNMATCHED)
        limits = self._limits.get(route.endpoint)
        identity: Identity | None = environ.get("gateway.identity")
        if limits is None or self._plans is None or identity is None:
            return limits or ()
        plan = self._plans.plan_of(identity)
        if plan is None or not plan.concurrency:
            return limits
        failing = plan.fields.on_failure
        own = ConcurrencyLimit(_PLAN, plan.concurrency, "identity", self._dry, failing)
        return *limits, own

    def _leave(self, keys: Sequence[str], token: str) -> None:
        """Give back what was taken. Never raises: a response is over."""
        taken = self._held.remove(keys, token)
        if not taken:
            return
        try:
            self._store.free(taken, token)
        except Exception as error:  # noqa: BLE001  the next beat makes it good
            log.warning("slots could not be given back yet: %s", type(error).__name__)


class _Tokens:
    """Names for requests, each once among all workers."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._owner = 0
        self._mine = ""

    def next(self) -> str:
        """One more."""
        if self._owner != os.getpid():
            self._mine = os.urandom(8).hex()
            self._owner = os.getpid()
        return f"{self._mine}:{next(self._numbers)}"


def refusal_of(limit: ConcurrencyLimit) -> Refusal:
    """The answer where a limit has no room: 429."""
    whose = "" if limit.per == "all" else " of one client"
    return Refusal(
        f"More than {limit.limit} requests{whose} at the same time are not served here.",
        status=429,
        slug="concurrency_limited",
        headers=[("Retry-After", "1")],
    )

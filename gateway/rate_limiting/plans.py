"""Plans: what an identity may use over all services, by the name its credential gives.

`PLANS` has them by name; an identity may have limits of its own instead (`Identity.overrides`).
They are limits as any other, decided together with those of the endpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from limits import parse_many
from pydantic import ValidationError

from gateway.authentication.identity import Identity
from gateway.plan_fields import PlanFields
from gateway.rate_limiting.deciding import EndpointLimits
from gateway.rate_limiting.fields import policy
from gateway.rate_limiting.quotas import Quota, quotas_of
from gateway.rate_limiting.rules import EVERYBODY, Rule, distinct

log = logging.getLogger("gateway.rate_limiting")

# A scope that no service could have.
_SCOPE = "*plan"
# Limits of single identities, those with an endpoint's, and what was complained of: so many are
# remembered.
_MOST_OWN = 1024
_MOST_APPLIED = 8192
_MOST_TOLD = 100


# Compared by identity: it is half of a key that is looked up with each request.
@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What one plan permits. concurrency: requests at the same time; 0 for any number. fields:
    what it was made of."""

    name: str
    rules: tuple[Rule, ...] = ()
    quotas: tuple[Quota, ...] = ()
    concurrency: int = 0
    fields: PlanFields = field(default_factory=PlanFields)


class Plans:
    """The plans of one application.

    A worker remembers the 1024 sets of overrides used last, the limits of 8192 endpoints with a
    plan, and the first 100 unknown plans and faulty overrides it complained of.
    """

    def __init__(self, plans: Mapping[str, PlanFields], default: str = "") -> None:
        self._plans = {name: _made(name, fields) for name, fields in plans.items()}
        self._default = self._plans.get(default)
        self._own = lru_cache(maxsize=_MOST_OWN)(self._read_own)
        self._applied: dict[tuple[str, Plan], EndpointLimits] = {}
        self._told: set[str] = set()

    def plan_of(self, identity: Identity) -> Plan | None:
        """The plan of an identity, its own limits in it; None if it has neither."""
        plan = self._plans.get(identity.plan) or self._usual(identity.plan)
        if not identity.overrides:
            return plan
        try:
            own = orjson.dumps(identity.overrides, default=dict)
        except TypeError:
            self._tell("overrides", "limits of a key are ignored: they are no JSON")
            return plan
        return self._own(plan, own)

    def applied(self, endpoint: str, limits: EndpointLimits, plan: Plan) -> EndpointLimits:
        """The limits of an endpoint for who has this plan."""
        found = self._applied.get((endpoint, plan))
        if found is None:
            # A rate over all services was agreed on: it stands where the usual one would.
            kept = [rule for rule in limits.rules if not plan.rules or rule.scope != EVERYBODY]
            rules = distinct([*kept, *plan.rules])
            found = EndpointLimits(rules, policy(rules), plan.quotas)
            if len(self._applied) >= _MOST_APPLIED:
                self._applied.clear()
            self._applied[endpoint, plan] = found
        return found

    def _usual(self, name: str) -> Plan | None:
        if name and self._plans:
            self._tell(f"plan {name}", f"there is no plan {name[:64]!r}: DEFAULT_PLAN applies")
        return self._default

    def _read_own(self, plan: Plan | None, own: bytes) -> Plan | None:
        try:
            fields = PlanFields.model_validate(orjson.loads(own))
        except ValidationError as error:
            told = [": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors()]
            self._tell(f"overrides {told}", f"limits of a key are ignored: {'; '.join(told)}")
            return plan
        if plan is None:
            return _made("own", fields)
        named = {name: getattr(fields, name) for name in fields.model_fields_set}
        return _made(plan.name, plan.fields.model_copy(update=named))

    def _tell(self, what: str, message: str) -> None:
        if what not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(what)
            log.warning("%s", message)


def _made(name: str, fields: PlanFields) -> Plan:
    items = parse_many(fields.rate) if fields.rate else []
    rules = [
        Rule(
            f"{name}-{item.get_expiry()}",
            _SCOPE,
            item.amount,
            item.get_expiry(),
            message=f"The limit of plan {name!r}, {item}, is used up.",
            burst=None if number else fields.burst,
            on_failure=fields.on_failure,
        )
        for number, item in enumerate(items)
    ]
    quotas = quotas_of(name, fields.quota, fields.on_failure)
    return Plan(name, distinct(rules), quotas, fields.concurrency, fields)

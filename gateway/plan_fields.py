"""What a plan may say: the values of the setting PLANS, judged as they are read.

Loads little: gunicorn's master reads the settings before a gevent worker has patched anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

from limits import parse_many
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

#: Clients read it in `RateLimit`: plain ASCII without quotes and backslashes.
PlanName = Annotated[
    str, StringConstraints(pattern=r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$", max_length=64)
]

#: Limits and bursts are below this: stores count in floating point.
MOST = 10**15


class PlanFields(BaseModel):
    """What one plan of PLANS says, and what an identity's own limits may say instead.

    rate: limits such as `100/second;10000/hour`; empty for none. burst: None, or the first of
    them is a token bucket in which so many more requests may come at once. quota: `N/day`,
    `N/month`, or both parted by `;`, of the calendar in UTC; empty for none. concurrency: requests
    at the same time; 0 for any number. on_failure: see Limiter.limit.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    rate: str = ""
    burst: int | None = Field(None, ge=0, lt=MOST)
    quota: str = Field(
        "", pattern=r"^([1-9][0-9]{0,14}/(day|month)(;[1-9][0-9]{0,14}/(day|month))?)?$"
    )
    concurrency: int = Field(0, ge=0)
    on_failure: Literal["local", "open", "closed"] = "local"

    @field_validator("rate")
    @classmethod
    def _rates(cls, value: str) -> str:
        items = parse_many(value) if value else []
        if not all(item.amount for item in items):
            raise ValueError("a rate of 0 permits nothing")
        if any(item.amount >= MOST for item in items):
            raise ValueError("a rate is more than can be counted")
        if len({item.get_expiry() for item in items}) < len(items):
            raise ValueError("two rates are for the same time")
        return value

    @field_validator("quota")
    @classmethod
    def _quotas(cls, value: str) -> str:
        if value.count("day") > 1 or value.count("month") > 1:
            raise ValueError("two quotas are for the same period")
        return value


def _burst_of_a_rate(plan: PlanFields) -> PlanFields:
    if plan.burst is not None and not plan.rate:
        raise ValueError("a burst needs a rate")
    return plan


PlansByName = dict[PlanName, Annotated[PlanFields, AfterValidator(_burst_of_a_rate)]]

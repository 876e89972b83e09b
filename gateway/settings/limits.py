"""Options of limits and plans."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings.kinds import CommaList, PlansAsJson
from gateway.settings.room import Room


class LimitSettings(Room):
    """How much of the gateway clients may use."""

    RATE_LIMIT_DEFAULT: str = Field(
        "1000/minute",
        description="Limits of every client over all services, such as `10/second;1000/hour`. A"
        " plan's rate stands in their place. Empty: none.",
    )
    RATE_LIMIT_USER: str = Field(
        "", description="Further limits of every authenticated user. Empty: none."
    )
    RATE_LIMIT_ADDRESS: str = Field(
        "",
        description="Limits of every address, counted before a credential is looked at, such as"
        " `300/minute`. Empty: none.",
    )
    RATE_LIMIT_FAILED_LOGINS: str = Field(
        "100/minute",
        description="Credentials of one address that may be refused; beyond, those not known to be"
        " good are answered with 429 and not looked at. Empty: any number.",
    )
    RATE_LIMIT_EXEMPT: CommaList = Field(
        (),
        description="Who no limit applies to: comma-separated addresses, CIDRs, and identities as"
        " `kind:subject`, such as `user:ada`. Empty: nobody.",
    )
    RATE_LIMIT_DRY_RUN: bool = Field(
        False,
        description="Put all limits on trial: they count, and the access log tells whom they would"
        " have refused (`dry_run`). False: they refuse.",
    )
    RATE_LIMIT_HEADERS: bool = Field(
        True,
        description="Tell clients their limits: `X-RateLimit-*`, `RateLimit`(`-Policy`), and"
        " `X-Quota-*`.",
    )
    PLANS: PlansAsJson = Field(
        {},
        description='Plans by name, as JSON: `{"free": {"rate": "5/second", "burst": 10, "quota":'
        ' "1000/day", "concurrency": 2}}`. Empty: none.',
    )
    DEFAULT_PLAN: str = Field(
        "",
        description="Plan of authenticated callers that name none, or one that there is not."
        " Empty: none, they have no plan's limits.",
    )

    @field_validator("DEFAULT_PLAN")
    @classmethod
    def _known_plan(cls, value: str, info: ValidationInfo) -> str:
        plans = info.data.get("PLANS")  # not there if it is wrong itself
        if value and plans is not None and value not in plans:
            raise ValueError(f"there is no plan {value!r} in PLANS")
        return value

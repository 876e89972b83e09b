"""What a partner's webhook may say: the values of the setting WEBHOOKS, judged as they are read.

Loads little: gunicorn's master reads the settings before a gevent worker has patched anything.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PartnerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$")]

#: What an event's type looks like: words parted by full stops, such as `order.shipped`.
TYPE = r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*"
#: The longest type, in characters.
LONGEST_TYPE = 100

EventPattern = Annotated[
    str, StringConstraints(pattern=rf"^(\*|{TYPE}(\.\*)?)$", max_length=LONGEST_TYPE)
]


class WebhookFields(BaseModel):
    """What WEBHOOKS says of one partner.

    url: where its events are sent to. secret: `whsec_...`, or `env:NAME` for a variable that holds
    one; two of them, the new one first, while it is rotated. events: types such as
    `order.shipped`, `order.*` for all below, `*` for all. plain_http: permit `http:` to another
    machine.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(repr=False)  # some hold a secret in their path or query
    secret: str | Annotated[list[str], Field(min_length=1, max_length=2)] = Field(repr=False)
    events: Annotated[list[EventPattern], Field(min_length=1, max_length=100)]
    plain_http: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What `secret` names, as it is written."""
        return (self.secret,) if isinstance(self.secret, str) else tuple(self.secret)


WebhooksByPartner = dict[PartnerName, WebhookFields]

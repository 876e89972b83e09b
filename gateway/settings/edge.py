"""Options of the edge."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.kinds import Networks
from gateway.settings.room import Room


class EdgeSettings(Room):
    """What is believed and taken of clients and of the proxies in front."""

    TRUSTED_PROXIES: Networks = Field(
        (),
        description="Peers whose `X-Forwarded-*` is believed: comma-separated CIDRs, and `unix`"
        " for a peer on a unix socket. Empty: nobody.",
    )
    FORWARDED_HEADER: bool = Field(
        False, description="Also send `Forwarded` (RFC 7239) to the backends."
    )
    VIA_PSEUDONYM: str = Field(
        "",
        pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$",
        description="This gateway's name in `Via`. Empty: `gatehouse-` and a hash of host and"
        " folder. Two gateways in a row need two names, or the second sees a loop.",
    )
    MAX_BODY_BYTES: int = Field(
        10 * 1024 * 1024, ge=0, description="Largest request body in bytes; larger is 413. 0: none."
    )
    CLIENT_TIMEOUT: float = Field(
        15, gt=0, description="Seconds without a byte of a request body, then 408."
    )
    SEND_TIMEOUT: float = Field(
        60,
        ge=0,
        le=86_400,
        description="Seconds a client may take nothing of an answer that waits for it, then its"
        " connection ends. 0: any time. Does not count on a unix socket: nginx has one of its own.",
    )
    SECRET_KEY: str = Field(
        "",
        repr=False,
        description="Secret that signs what clients bring back, such as cookies of sticky"
        " sessions; 32 bytes or more. Empty: none of that can be used.",
    )

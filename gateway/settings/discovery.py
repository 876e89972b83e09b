"""Options of discovery."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.kinds import NameServers
from gateway.settings.room import Room


class DiscoverySettings(Room):
    """Who is asked for the addresses of backends."""

    DNS_SERVERS: NameServers = Field(
        (),
        description="Name servers asked for `dns://` and `srv://` addresses: comma-separated"
        " `ip[:port]`, port 53 by default. Empty: those of `/etc/resolv.conf`.",
    )
    CONSUL_TOKEN: str = Field(
        "",
        repr=False,
        pattern=r"^[!-~]*$",
        description="ACL token for `consul://` addresses. Empty: none is sent.",
    )
    EUREKA_URL: str = Field(
        "",
        repr=False,
        description="Eureka servers, comma-separated and tried in turn, such as"
        " `http://user:password@host:8761/eureka`. Empty: none.",
    )
    EUREKA_INTERVAL: int = Field(
        30,
        ge=1,
        le=600,
        description="Seconds between two looks at Eureka, and between two heartbeats to it.",
    )
    EUREKA_APP: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._\-]*$",
        description="Name under which this gateway registers in Eureka. Empty: it does not.",
    )
    EUREKA_INSTANCE_URL: str = Field(
        "",
        description="Where others reach this gateway, as it is registered in Eureka. Empty:"
        " `http://`, the machine's name, and the port it listens on.",
    )

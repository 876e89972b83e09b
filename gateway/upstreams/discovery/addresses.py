"""What `<NAME>_URL` can say: a list of instances, or who knows where they are."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from gateway.upstreams.discovery.provider import Discovery
from gateway.upstreams.target import Target, parse_targets
from settings import Settings

_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.\-]*)://")
_HERE = "gateway.upstreams.discovery"
#: Which module's `parse(address)` reads an address; imported only when one is used.
_PROVIDERS = {
    "dns": f"{_HERE}.dns",
    "srv": f"{_HERE}.dns",
    "file": f"{_HERE}.file",
    "consul": f"{_HERE}.consul",
    "eureka": f"{_HERE}.eureka",
}


def parse_address(text: str, settings: Settings | None = None) -> tuple[Target, ...] | Discovery:
    """Read the address of a service.

        http://a:8080;weight=5,https://b      instances, all that there are
        dns://orders.internal:8080            every address of a name
        srv://_http._tcp.orders.internal      host, port, priority and weight of every SRV record
        file:///etc/gatehouse/orders.txt      a file that is watched
        consul://127.0.0.1:8500/orders        what is registered in Consul
        eureka://127.0.0.1:8761/eureka/ORDERS what is registered in Eureka

    Empty means no instance. settings: where a registry's own options come from. ValueError names
    the fault, without what may be a password.
    """
    found = _SCHEME.match(text)
    scheme = found[1] if found else ""
    if scheme in ("http", "https", ""):
        return parse_targets(text)
    if scheme not in _PROVIDERS:
        others = ", ".join(f"{name}://" for name in _PROVIDERS)
        what = text.strip().rpartition("@")[2]
        raise ValueError(f"{what!r} must be http(s)://host[:port][/path], or begin with {others}")
    try:
        module = import_module(_PROVIDERS[scheme])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "dns":
            raise
        raise ValueError(f"{scheme}:// needs dnspython: pip install .[dns]") from None
    options = {} if settings is None else _options(scheme, settings)
    provider: Discovery = module.parse(text.strip(), **options)
    return provider


def _options(scheme: str, settings: Settings) -> dict[str, Any]:
    """What the settings say to a provider."""
    if scheme in ("dns", "srv"):
        return {"servers": settings.DNS_SERVERS}
    if scheme == "consul":
        return {"token": settings.CONSUL_TOKEN, "ca_file": settings.UPSTREAM_CA_FILE}
    if scheme == "eureka":
        return {
            "servers": settings.EUREKA_URL,
            "interval": settings.EUREKA_INTERVAL,
            "ca_file": settings.UPSTREAM_CA_FILE,
        }
    return {}

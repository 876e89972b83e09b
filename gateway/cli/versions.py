"""What `flask gateway services` prints of a service's versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.service import Runtime, Service
from gateway.versions.declaring import Version, Versions
from gateway.versions.labels import name_of
from gateway.versions.telling import moment


def version_lines(
    service: Service,
    versions: Versions,
    runtimes: Mapping[str, Runtime],
    where: Callable[[Service], str],
    shown: Callable[[object], str],
) -> Iterator[str]:
    """How requests name a version, and a line for each. where: says where a service is. shown: says
    what a policy is."""
    yield f"  versions by {', '.join(_ways(versions))}; otherwise {versions.default or 'none'}"
    for version in versions.versions:
        carrier = runtimes[name_of(service.name, version.label)].service
        policies = ", ".join(map(shown, carrier.policies)) or "none"
        facts = "".join(f", {fact}" for fact in _facts(version))
        yield f"  {version.label}: {carrier.name} -> {where(carrier)}{facts}; policies {policies}"


def _ways(versions: Versions) -> Iterator[str]:
    if versions.path is not None:
        yield f"path {versions.path}"
    yield from versions.headers
    if versions.media_type:
        yield "Accept"
    if versions.query is not None:
        yield f"?{versions.query}="


def _facts(version: Version) -> Iterator[str]:
    """What is not as usual about a version."""
    if version.prefix is not None:
        yield f"prefix {version.prefix}"
    if version.deprecated is not None:
        yield f"deprecated {moment(version.deprecated):%Y-%m-%d}"
    if version.sunset is not None:
        then = " (then refused)" if version.after_sunset == "refuse" else ""
        yield f"sunset {moment(version.sunset):%Y-%m-%d}{then}"

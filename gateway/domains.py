"""Domains: which of the services of a codebase this gateway is for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FunctionType, MappingProxyType
from typing import Any

from gateway.exchange import Policy
from gateway.service import Service
from gateway.view_policies import policies_of

Domains = Mapping[str, Sequence[Service]]

_NAME = re.compile(r"[A-Za-z0-9_\-]+")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The services of one gateway.

    services: with their paths, in the order in which these are looked at. helpers: further ones,
    which those send requests to: they have an address and no paths. needed_by: by a helper's name,
    the first of those. others: of the same code, and no part of this gateway. names: the domains
    that were chosen, sorted; none where there was nothing to choose. of: the domains that a service
    is in, by its name. astray: services with paths that are in none, where there are domains.
    """

    services: Sequence[Service]
    helpers: Sequence[Service] = ()
    needed_by: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[Service] = ()
    names: tuple[str, ...] = ()
    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    astray: Sequence[str] = ()

    @property
    def all(self) -> list[Service]:
        """Services and helpers."""
        return [*self.services, *self.helpers]


def choose(
    services: Sequence[Service],
    domains: Domains = MappingProxyType({}),
    wanted: Sequence[str] = (),
) -> tuple[Chosen, list[str]]:
    """The services of the domains that are wanted, all of them if none is, and what is wrong.

    services: all that there are, in order. domains: some of them, by the name of the domain.
    """
    faults = _faults(services, domains)
    known = _lists(domains)
    if wanted and not domains:
        faults.append("DOMAINS: there are none to choose from (DOMAINS in blueprints/__init__.py)")
    elif isinstance(domains, Mapping):
        there = ", ".join(map(str, domains))
        faults += [
            f"DOMAINS: there is no domain {name!r}; there are {there}"
            for name in dict.fromkeys(wanted)
            if name not in domains
        ]
    names = tuple(sorted(set(wanted) & set(known)))
    of = {
        one.name: tuple(name for name, members in known.items() if _holds(members, one))
        for one in services
    }
    chosen = [one for one in services if not wanted or set(of[one.name]) & set(names)]
    helpers, needed_by = _helpers(chosen, services)
    taken = {id(one) for one in (*chosen, *helpers)}
    others = [one for one in services if id(one) not in taken]
    astray = [
        one.name for one in services if known and one.url_prefix is not None and not of[one.name]
    ]
    return Chosen(chosen, helpers, needed_by, others, names, of, astray), faults


def _lists(domains: object) -> dict[str, Sequence[Service]]:
    """Those that are lists."""
    if not isinstance(domains, Mapping):
        return {}
    return {name: found for name, found in domains.items() if isinstance(found, list | tuple)}


def _holds(members: Iterable[Service], service: Service) -> bool:
    return any(one is service for one in members)


def _faults(services: Sequence[Service], domains: object) -> list[str]:
    if not isinstance(domains, Mapping):
        return ["DOMAINS of blueprints must be a dict: lists of services by name"]
    faults = []
    for name, members in domains.items():
        where = f"domain {name!r}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            faults.append(f"{where} must be called by letters, digits, `_` and `-`")
        if not isinstance(members, list | tuple) or not members:
            faults.append(f"{where} must be a list of services")
            continue
        for one in members:
            if not isinstance(one, Service):
                faults.append(f"{where}: {one!r} is no service")
            elif not _holds(services, one):
                faults.append(f"{where}: {one.name!r} is not among SERVICES ({one.declared_at})")
    return faults


def _helpers(
    chosen: Sequence[Service], services: Sequence[Service]
) -> tuple[list[Service], dict[str, str]]:
    """What the chosen ones need, and what those need; and who needs it."""
    by_name = {name: one for one in services for name in (one.name, *_version_names(one))}
    taken = {one.name for one in chosen}
    found: list[Service] = []
    needed_by: dict[str, str] = {}
    asking = list(chosen)
    for service in asking:  # it grows
        for other in _needs(service, by_name):
            if other.name not in taken:
                taken.add(other.name)
                needed_by[other.name] = service.name
                found.append(other)
                asking.append(other)
    return found, needed_by


def _needs(service: Service, by_name: Mapping[str, Service]) -> Iterator[Service]:
    """The services that one sends requests to, as far as it declares them. What is no service, or
    not there, is told of where it is declared."""
    for used in getattr(service, "uses", ()):
        if isinstance(used, Service):
            yield used
    for policy in _policies(service):
        for name in _named(policy):
            if name in by_name:
                yield by_name[name]


def _policies(service: Service) -> Iterator[Policy]:
    """The policies of a service, of its versions, and of all views of its module."""
    yield from service.policies
    for version in getattr(service.versions, "versions", ()):
        yield from getattr(version, "policies", ())
    for version in getattr(service.versions, "versions", ()):
        yield from getattr(version, "policies", ())
    for view in list(vars(sys.modules.get(service.import_name, service)).values()):
        if isinstance(view, FunctionType):
            yield from policies_of(view)


def _version_names(service: Service) -> Iterator[str]:
    """What policies may call the versions of a service."""
    if service.versions is not None:
        from gateway.versions.labels import name_of  # only if used

        with suppress(TypeError, AttributeError):  # of options of the wrong kind
            yield from [name_of(service.name, label) for label in service.versions.labels]


def _named(policy: Any) -> tuple[str, ...]:
    with suppress(TypeError, ValueError, AttributeError):  # of options of the wrong kind
        return tuple(name for name in getattr(policy, "needs", ()) if isinstance(name, str))
    return ()

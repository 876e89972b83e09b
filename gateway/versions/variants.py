"""The services that carry the requests of versions: one for each, without paths of its own."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Flask

from gateway.service import Runtime, Service, variable_of
from gateway.versions.choosing import Choice
from gateway.versions.labels import name_of
from gateway.versions.paths import labels_by_rule, prefix_of
from gateway.view_policies import Layers

if TYPE_CHECKING:
    from gateway.versions.declaring import Version, Versions


def variants(service: Service, versions: Versions) -> tuple[Service, ...]:
    """The service as each version has it: the same options, but for those of the version."""
    return tuple(_variant(service, version, versions.path) for version in versions.versions)


def _variant(service: Service, version: Version, path: str | None) -> Service:
    made = copy.copy(service)
    made.name = name_of(service.name, version.label)
    made.versions = None
    made.url_prefix = None
    made.strip_prefix = False  # what is taken from a path depends on how the version was named
    made.required_headers = {}
    made.covers = () if service.url_prefix is None else (service.url_prefix,)
    if path is not None:
        made.covers = tuple(dict.fromkeys((*made.covers, prefix_of(path, version.label))))
    made.policies = tuple(Layers.inside(version.policies, service.policies).among(service.policies))
    own = variable_of(made.name)
    if version.upstream is not None or version.discovery is not None:
        made.upstream, made.discovery = version.upstream, version.discovery
        made.variable = own
    elif own in os.environ:
        made.upstream = made.discovery = None
        made.variable = own
    return made


def add_choice(
    app: Flask, service: Service, versions: Versions, runtimes: MutableMapping[str, Runtime]
) -> None:
    """Add the runtime of a service with versions: that of its default, which can choose. runtimes:
    has those of the versions, by their names as services; they get the prefixes."""
    prefix = service.url_prefix or ""
    direct: dict[str, Runtime] = {}
    by_path: dict[str, Runtime] = {}
    for version in versions.versions:
        name = name_of(service.name, version.label)
        direct[version.label] = _placed(runtimes[name], service, version, prefix)
        runtimes[name] = direct[version.label]
        if versions.path is not None:
            at = prefix_of(versions.path, version.label)
            by_path[version.label] = _placed(runtimes[name], service, version, at)
    choice = Choice(
        service.name, versions, direct, by_path or direct, _rules(app, service, versions)
    )
    runtimes[service.name] = replace(choice.default, service=service, versions=choice)


def _rules(app: Flask, service: Service, versions: Versions) -> Mapping[str, str]:
    if versions.path is None:
        return {}
    return labels_by_rule(app, service.name, versions.path, versions.labels)


def _placed(runtime: Runtime, service: Service, version: Version, prefix: str) -> Runtime:
    """The runtime for requests below a prefix: what is taken from their paths, and put there."""
    if version.prefix is None:
        strip = service.strip_prefix
        return replace(runtime, strip=prefix if strip is True else (strip or "").rstrip("/"))
    put = version.prefix.rstrip("/")
    if prefix.endswith(put):  # as if no more than what comes before it were stripped
        return replace(runtime, strip=prefix.removesuffix(put), put="")
    return replace(runtime, strip=prefix, put=put)

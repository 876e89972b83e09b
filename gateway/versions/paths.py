"""Versions in the path: `/api/{version}/users` beside a service's own prefix.

Every rule of the service is there once more for each version, for the same endpoint: what a view
claims, requires and limits holds on all of its paths. What looks like a version and is none has a
rule of its own, or it would be no route at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter, Map, Rule

from gateway.authorization import ALL_METHODS
from gateway.paths import VERSION
from gateway.versions.labels import looking_like, shape_of

if TYPE_CHECKING:
    from gateway.service import Service

PLACE = "{version}"
# What a prefix is made of; percent-encoded where need be.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%\-]+)*")
#: The endpoint, below its service, of what looks like a version and is none.
UNKNOWN = "claim_version"


def prefix_of(path: str, label: str) -> str:
    """The prefix of a version."""
    return path.rstrip("/").replace(PLACE, label)


def is_prefix(text: str) -> bool:
    """Whether it can be a prefix, empty for the root: without dot segments and empty ones."""
    plain = _PREFIX.fullmatch(text) is not None
    return plain and not any(part in (".", "..") for part in text.split("/"))


def path_faults(path: object, url_prefix: str | None, labels: Sequence[str]) -> list[str]:
    """What is wrong with a pattern of versioned paths; None is none."""
    if path is None:
        return []
    if not isinstance(path, str):
        return [f"path={path!r} must be text"]
    if url_prefix is None:
        return [f"path {path!r} needs a url_prefix: the service has no paths"]
    if path.split("/").count(PLACE) != 1 or not is_prefix(prefix_of(path, "v1")):
        return [f"path {path!r} must be an absolute path with one segment {PLACE}"]
    below = path.startswith(f"{url_prefix}/")
    if below and "number" in map(shape_of, labels):
        return [f"path {path!r} is below url_prefix: ids there would be taken for versions"]
    return []


def clashes(services: Iterable[Service]) -> list[str]:
    """Versions whose paths are another service's, too."""
    services = list(services)
    return [
        f"service {service.name!r}: {prefix} of its versions is a prefix of service"
        f" {other.name!r} as well ({service.declared_at})"
        for service in services
        if service.versions is not None
        for prefix in service.prefixes
        if prefix != service.url_prefix
        for other in services
        if other is not service and prefix in other.prefixes
    ]


class _VersionLike(BaseConverter):
    """What looks like a version, in one of these shapes, and is none of those that are known, with
    a bar between them."""

    def __init__(self, rules: Map, *shapes: str, known: str = "") -> None:
        super().__init__(rules)
        others = "|".join(map(re.escape, known.split("|")))
        self.regex = rf"(?!(?:{others})\Z)(?:{looking_like(shapes)})"


def add_rules(app: Flask, name: str, prefix: str, path: str, labels: Sequence[str]) -> None:
    """Add the rules of versions to those that a service has by now below its prefix."""
    own = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(f"{name}.")]
    for label in labels:
        at = prefix_of(path, label)
        if at == prefix:
            continue
        for rule in own:
            app.url_map.add(_moved(rule, at + rule.rule[len(prefix) :]))
            if not prefix and rule.rule == "/":  # the root has no bare prefix of its own
                app.url_map.add(_moved(rule, at))
    shapes = sorted({shape for label in labels if (shape := shape_of(label))})
    if shapes:
        _claim(app, name, path, shapes, labels)


def _moved(rule: Rule, path: str) -> Rule:
    made: Any = type(rule)(path, **rule.get_empty_kwargs())
    made.provide_automatic_options = getattr(rule, "provide_automatic_options", False)
    moved: Rule = made
    return moved


def _claim(app: Flask, name: str, path: str, shapes: Sequence[str], labels: Sequence[str]) -> None:
    def unknown(**_values: object) -> Any:
        raise NotFound  # the service's hook comes first, and says which versions there are

    unknown.__gateway_claim__ = True  # type: ignore[attr-defined]
    app.url_map.converters[VERSION] = _VersionLike
    known = "|".join(labels)  # or a method that they do not have would make them unknown
    arguments = ",".join([*map(repr, shapes), f"known={known!r}"])
    at = path.rstrip("/").replace(PLACE, f"<{VERSION}({arguments}):version>")
    for rest in ("", "/", "/<path:_rest>"):
        app.add_url_rule(
            at + rest,
            f"{name}.{UNKNOWN}",
            unknown,
            methods=ALL_METHODS,
            provide_automatic_options=False,
        )


def takes(segment: str, text: str) -> bool:
    """Whether a segment of a rule, which takes what looks like a version, takes this."""
    shapes = re.findall("'([a-z]+)'", segment)
    return re.fullmatch(looking_like(shapes), text) is not None


def labels_by_rule(app: Flask, name: str, path: str, labels: Sequence[str]) -> dict[str, str]:
    """The version that each rule of a service names, if it does."""
    prefixes = {label: prefix_of(path, label) for label in labels}
    found = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{name}."):
            for label, prefix in prefixes.items():
                if f"{rule.rule}/".startswith(f"{prefix}/"):
                    found[rule.rule] = label
    return found

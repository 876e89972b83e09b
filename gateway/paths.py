"""The paths that a service's own views claim, so that the catch-all cannot side-step them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

#: The converter of one segment that looks like a version; see gateway.versions.paths.
VERSION = "gateway_version"
_VERSION_PLACE = re.compile(rf"<{VERSION}\(.*?\):([^<>:]+)>")

# A claim takes any value a segment can have: `/+7/refunds` must not slip past `<int:id>` into
# the catch-all, to a backend that reads it as 7 after all.
TYPED = re.compile(r"<(?!path:)(?:[^<>:]+:)?([^<>:]+)>")


def shown(rule: str) -> str:
    """A rule as logs tell it: without what only routing has to know of versions."""
    return _VERSION_PLACE.sub(r"<\1>", rule) if VERSION in rule else rule


def claim_paths(app: Flask, service: str, methods: Iterable[str]) -> None:
    """Answer every other method on the paths of a service's views: 405, or 404 for a value that
    the view's converter does not take."""
    claimed: dict[str, set[str]] = defaultdict(set)
    for rule in list(app.url_map.iter_rules()):
        if rule.endpoint.startswith(f"{service}."):
            claimed[TYPED.sub(r"<\1>", rule.rule)] |= rule.methods or set()
    for number, (path, declared) in enumerate(claimed.items()):
        app.add_url_rule(
            path,
            f"{service}.claim_{number}",
            _refuse(frozenset(declared)),
            methods=sorted({*methods, *declared}),
            provide_automatic_options=False,
        )


def served_methods(app: Flask) -> list[str]:
    """The methods that the path of a request has, without those that a claim refuses."""
    adapter = app.create_url_adapter(request)
    if adapter is None:
        return []
    views, found = app.view_functions, sorted(adapter.allowed_methods())
    return [one for one in found if not is_claim(views[adapter.match(method=one)[0]])]


def is_claim(view: object) -> bool:
    """Whether a view only keeps a path for others."""
    return hasattr(view, "__gateway_claim__")


def _refuse(declared: frozenset[str]) -> Callable[..., Any]:
    def claimed(**_values: object) -> Any:
        if request.method in declared:
            raise NotFound
        raise MethodNotAllowed(sorted(declared))

    claimed.__gateway_claim__ = True  # type: ignore[attr-defined]
    return claimed

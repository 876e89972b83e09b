"""An explanation for people: a section for each room that the request comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.cli.upstreams import circuit_words, state_words

_WIDTH = 10
_MET = {True: "  met", False: "  unmet", None: "  unknown"}


def text_of(told: dict[str, Any]) -> str:
    """The explanation as lines."""
    return "\n".join(_lines(told))


def _lines(told: dict[str, Any]) -> Iterator[str]:
    asked = told.get("request")
    if asked is not None:
        trusted = ", as a trusted proxy says" if asked["trusted_peer"] else ""
        yield f"{asked['method']} {asked['target']}"
        yield f"on {asked['url']}, from {asked['address'] or 'a unix socket'}{trusted}"
    yield _outcome(told)
    if asked is not None:
        yield ""
        yield from _route(told)
        yield from _caller(told)
        yield from _limits(told.get("limits"))
        yield from _declared(told)
        yield from _chain(told)
        yield from _target(told)
        yield from _fields(told)
    yield from (f"note: {note}" for note in told["notes"])


def _outcome(told: dict[str, Any]) -> str:
    """What becomes of it, in a line or two."""
    answer = told["answer"]
    if answer is not None:
        code = f" {answer['code']}" if answer["code"] else ""
        fields = "".join(
            f"\n  {name}: {value}" for name, value in answer["headers"] if name != "Content-Type"
        )
        return f"is answered with {answer['status']}{code}: {answer['detail']}{fields}"
    if told["outcome"] == "unknown":
        return f"depends on who would be asked: {', '.join(told['asks'])} (see --ask)"
    if told["outcome"] == "kept":
        return f"is answered with {told['kept_status']} out of what is kept"
    if told["outcome"] == "own":
        return "is answered here"
    return f"is forwarded to {told['upstream']['url']}"


def _route(told: dict[str, Any]) -> Iterator[str]:
    route = told["route"]
    if route is None:
        yield _section("route", "none")
    else:
        service = f", service {route['service']}" if route["service"] else ""
        because = f", for it has {route['because']}" if "because" in route else ""
        yield _section("route", f"{route['rule']} ({route['endpoint']}){service}{because}")
    for other in told["others"]:
        rule = f"{other['methods']} {other['rule']} ({other['endpoint']})"
        yield _section("  not", f"{rule}: {other['why']}")


def _caller(told: dict[str, Any]) -> Iterator[str]:
    if "decision" not in told:
        return
    yield _section("identity", _identity(told["identity"]))
    decision = told["decision"]
    public = {True: "public: ", None: "", False: ""}[decision["public"]]
    yield _section("decision", f"{public}{decision['result']}")
    for one in decision["requirements"]:
        yield _section(_MET[one["met"]], one["part"])


def _identity(identity: dict[str, Any] | None) -> str:
    if identity is None:
        return "none"
    if "refused" in identity:
        return f"none: a credential ({identity['scheme']}) is refused, {identity['refused']}"
    parts = [f"{identity['kind']} {identity['subject']}, by {identity['scheme']}"]
    for name in ("roles", "permissions", "scopes"):
        if identity[name]:
            parts.append(f"{name} {' '.join(identity[name])}")
    if identity["plan"]:
        parts.append(f"plan {identity['plan']}")
    return "; ".join(parts)


def _limits(limits: list[dict[str, Any]] | None) -> Iterator[str]:
    if limits is None:
        return
    yield _section("limits", "" if limits else "none")
    for one in limits:
        left = "not known" if one["left"] is None else f"{one['left']} left"
        if one.get("retry"):
            left += f", room again in {one['retry']:g} s"
        if one.get("wait"):
            left += f", would wait {one['wait']:g} s for its time"
        whose = f" of {one['whose']}" if one["whose"] else ""
        kind = "" if one["kind"] in ("rate", "concurrency", "quota") else f"{one['kind']}: "
        yield f"  {kind}{one['limit']}{whose}: {left}"


def _declared(told: dict[str, Any]) -> Iterator[str]:
    version = told.get("version")
    if version is not None:
        yield _section("version", f"{version['label'] or 'none'} of {', '.join(version['all'])}")
        yield from _pairs(version["fields"])
    if told.get("filters"):
        yield "filters"
    for one in told.get("filters", ()):
        yield f"  {one['phase']:<6}{one['name']}{'' if one['on'] else ', off'}"


def _chain(told: dict[str, Any]) -> Iterator[str]:
    if "policies" not in told:
        return
    yield _section("policies", "" if told["policies"] else "none")
    for one in told["policies"]:
        words = [one["policy"]]
        if "view" in one:
            words.append(f"of the view {one['view']}")
        if "circuit" in one:
            words.append(circuit_words(one["circuit"]))
        if one.get("refuses"):
            words.append("refuses")
        if one.get("reached") is False:
            words.append("not reached")
        yield f"  {', '.join(words)}"
        yield from (f"    {change}" for change in one.get("does", ()))
    if told["cache"] is not None:
        yield from _cache(told["cache"])


def _cache(cache: dict[str, Any]) -> Iterator[str]:
    if cache["key"] is None:
        yield _section("cache", cache["why"])
        return
    yield _section("cache", f"key {cache['key']}")
    yield f"  differs by {', '.join(cache['differs_by'])}"
    kept = cache["answer"]
    if kept is None:
        yield "  nothing is kept" + (f": {cache['why']}" if cache["why"] else "")
        return
    left = kept["fresh_for"]
    fresh = f"fresh for {left:g} s more" if left > 0 else f"stale for {-left:g} s"
    use = kept["use"].replace("_", " ")
    yield f"  kept: {kept['status']}, {kept['bytes']} bytes, {kept['age']:g} s old, {fresh} ({use})"


def _target(told: dict[str, Any]) -> Iterator[str]:
    target = told.get("target")
    if target is None:
        return
    chosen = " or ".join(target["chosen"]) or "none"
    yield _section("target", f"{chosen}, by {target['balancing']}")
    for one in target["instances"]:
        yield f"  {one['target']}, weight {one['weight']}: {state_words(one)}"
    times = told["times"]
    yield _section(
        "times",
        f"connect {times['connect']:g} s, read {times['read']:g} s;"
        f" {times['deadline']:g} s to the response head",
    )


def _fields(told: dict[str, Any]) -> Iterator[str]:
    yield "from the client"
    yield from _pairs(told["request"]["fields"])
    upstream = told.get("upstream")
    if upstream is not None:
        yield "to the backend" + (
            ", were it asked" if told["outcome"] in ("kept", "refused") else ""
        )
        yield f"  {upstream['method']} {upstream['url']}"
        yield from _pairs(upstream["fields"])


def _pairs(fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"  {name}: {value}".rstrip() for name, value in fields)


def _section(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}".rstrip()

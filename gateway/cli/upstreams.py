"""What `flask gateway upstreams` prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import orjson
from flask import Flask

from gateway.errors import ConfigurationError
from gateway.state import MemoryState
from gateway.upstreams.overview import Overview

_HEADER = ("target", "weight", "in flight", "state")


def print_upstreams(
    app: Flask,
    *,
    as_json: bool,
    watch: float | None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Once, or every `watch` seconds until interrupted. Raises ConfigurationError if the state of
    the gateway's workers cannot be read from here."""
    gateway = app.extensions["gateway"]
    if isinstance(gateway.state, MemoryState):
        fault = "each worker keeps what it knows to itself: nothing can be read from here"
        raise ConfigurationError([f"STATE_URL=memory://: {fault}"])
    overview = Overview(gateway.carrying, gateway.state, gateway.loads, gateway.pulse.office)
    while True:
        seen = overview.look()
        if getattr(gateway.state, "degraded", False):
            raise ConfigurationError(["the store that the workers share cannot be read"])
        text = orjson.dumps(seen).decode() if as_json else _text(seen)
        if watch is not None and not as_json:
            click.clear()  # nothing, where nobody watches
        click.echo(text)
        if watch is None:
            return
        sleep(watch)


def _text(seen: dict[str, Any]) -> str:
    blocks = [_service(name, service) for name, service in seen["services"].items()]
    return "\n\n".join([*blocks, _workers(seen)])


def _service(name: str, service: dict[str, Any]) -> str:
    facts = [
        f"balancing {service['balancing']}",
        "discovered" if service["discovered"] else "static",
        f"probes {service['probes']}" if service["probes"] else "no probes",
    ]
    if service["circuit"]:
        facts.append(circuit_words(service["circuit"]))
    lines = [f"{name}: {', '.join(facts)}"]
    if not service["targets"]:
        return "\n".join([*lines, "  no instance"])
    rows = [_HEADER, *map(_row, service["targets"])]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for target, weight, in_flight, state in rows:
        lines.append(
            f"  {target:<{widths[0]}}  {weight:>{widths[1]}}  {in_flight:>{widths[2]}}  {state}"
        )
    return "\n".join(lines)


def _row(target: dict[str, Any]) -> tuple[str, str, str, str]:
    counts = list(target["in_flight"].values())
    in_flight = str(sum(counts))
    if len(counts) > 1:
        in_flight += f" ({'+'.join(map(str, counts))})"
    return target["target"], str(target["weight"]), in_flight, state_words(target)


def state_words(target: dict[str, Any]) -> str:
    """How an instance is; see Overview."""
    health, ejected = target["health"], target["ejected"]
    words = []
    if health and not health["healthy"]:
        words.append(f"unhealthy for {_time(health['since'])}")
    if ejected:
        times = f" ({ejected['times']} times in a row)" if ejected["times"] > 1 else ""
        words.append(f"ejected for {_time(ejected['until'])} more{times}")
    if not words:
        words.append("healthy" if target["used"] else "unused")
    elif target["used"]:
        words.append("used all the same: no other is better")
    if health:
        last = f": {health['reason']}" if health["reason"] else ""
        words.append(f"probed {_time(health['checked'])} ago{last}")
    if target["circuit"]:
        words.append(circuit_words(target["circuit"]))
    return ", ".join(words)


def circuit_words(circuit: dict[str, Any]) -> str:
    """How a circuit is; see Overview."""
    text = f"circuit {circuit['state']}"
    if circuit["state"] == "open":
        return f"{text}, tries again in {_time(circuit['recovery'])}"
    if circuit["failures"]:
        return f"{text} after {circuit['failures']} failures in a row"
    return text


def _workers(seen: dict[str, Any]) -> str:
    if not seen["workers"]:
        return "No worker has been heard of: the gateway does not run, or with another store."
    return "\n".join(
        f"worker {name}: {worker['in_flight']} in flight, heard {_time(worker['heard'])} ago"
        + (", elected" if name == seen["elected"] else "")
        for name, worker in seen["workers"].items()
    )


def _time(seconds: float) -> str:
    """A time in one unit, as exact as an operator needs it."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"

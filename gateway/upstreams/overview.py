"""What is known of all upstreams at the moment, for operators: read from the shared state, by any
process that can reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.pulse import OFFICE
from gateway.service import Runtime, Service
from gateway.state import SharedState, Value
from gateway.upstreams import verdicts
from gateway.upstreams.discovery.follower import Follower
from gateway.upstreams.loads import ABOUT
from gateway.upstreams.node import Node
from gateway.upstreams.pool import Connections, UpstreamPool

_UNCONNECTED = Connections(lambda target: lambda: 0, lambda target: None)


@dataclass(frozen=True, slots=True)
class Overview:
    """Looks at the state when asked to. state: the gateway's. loads: where its workers report.
    office: what its elected worker is elected for.

    It only reads: nothing is published and nobody elected. All that it returns is ready for JSON;
    times are seconds before now, or from now on.
    """

    runtimes: Mapping[str, Runtime]
    state: SharedState
    loads: SharedState
    office: str = OFFICE

    def look(self) -> dict[str, Any]:
        """Every service with its instances, and the workers that are alive."""
        self.state.refresh()
        if self.loads is not self.state:
            self.loads.refresh()
        now = self.state.clock()
        reports = {
            key.removeprefix(ABOUT): report
            for key, report in sorted(self.loads.scan(ABOUT).items())
            if now < report["expires"]
        }
        return {
            "elected": self._elected(now),
            "workers": {name: _worker(report, now) for name, report in reports.items()},
            "services": {
                name: self._service(runtime, reports, now)
                for name, runtime in self.runtimes.items()
            },
        }

    def _elected(self, now: float) -> str | None:
        """The worker that probes and discovers: host/pid."""
        claim = self.state.get(self.office)
        if claim is None or now >= claim["until"]:
            return None
        return str(claim["holder"]).rpartition("/")[0]

    def _service(self, runtime: Runtime, reports: Mapping[str, Value], now: float) -> Value:
        service, pool = runtime.service, self.pool(runtime)
        check = service.health_check
        return {
            "balancing": type(service.load_balancing).__name__,
            "discovered": runtime.pool.arrival is not None,
            "probes": None if check is None else f"GET {check.path} every {check.interval:g} s",
            "circuit": self.circuit(service.name, now),
            "targets": [
                {
                    "target": node.target.name,
                    "weight": node.target.weight,
                    **self._verdicts(service, node, now),
                    "used": node in pool.usable,
                    "in_flight": _in_flight(reports, service.name, node.target.name),
                    "circuit": self.circuit(f"{service.name}/{node.target.name}", now),
                }
                for node in pool.nodes
            ],
        }

    def pool(self, runtime: Runtime) -> UpstreamPool:
        """What a worker's pool of the service would be now."""
        name = runtime.service.name
        targets = [node.target for node in runtime.pool.nodes]
        pool = UpstreamPool(
            name,
            targets,
            state=self.state,
            chooser=runtime.pool.chooser,
            connections=_UNCONNECTED,
            ejection=runtime.service.ejection,
        )
        found = self.state.get(verdicts.targets(name))
        if runtime.pool.arrival is not None and found is not None:
            Follower(name, found["source"], self.state, pool).refresh()
        pool.refresh()
        return pool

    def _verdicts(self, service: Service, node: Node, now: float) -> Value:
        name = node.target.name
        health = self.state.get(verdicts.health(service.name, name))
        if health is not None and now >= health["expires"]:
            health = None
        ejected = self.state.get(verdicts.ejected(service.name, name))
        if node.ejected_until <= now:
            ejected = None
        return {
            "health": health
            and {
                "healthy": health["healthy"],
                "since": _rounded(now - health["since"]),
                "checked": _rounded(now - health["checked"]),
                "reason": health["reason"],
            },
            "ejected": ejected
            and {"until": _rounded(ejected["until"] - now), "times": ejected["times"]},
        }

    def circuit(self, name: str, now: float) -> Value | None:
        """What a circuit breaker says, whichever policy it is that says it."""
        circuit = self.state.get(f"circuit/{name}")
        if circuit is None or now >= circuit.get("expires", now + 1):
            return None
        left = max(circuit["until"] - now, 0.0)
        state = "closed" if not circuit["open"] else "open" if left else "half-open"
        return {
            "state": state,
            "failures": circuit["failures"],
            "recovery": _rounded(left) if state == "open" else 0.0,
        }


def _worker(report: Value, now: float) -> Value:
    counts = [count for targets in report["in_flight"].values() for count in targets.values()]
    return {"heard": _rounded(now - report["at"]), "in_flight": sum(counts)}


def _in_flight(reports: Mapping[str, Value], service: str, target: str) -> dict[str, int]:
    """Requests by worker."""
    return {
        worker: report["in_flight"].get(service, {}).get(target, 0)
        for worker, report in reports.items()
    }


def _rounded(seconds: float) -> float:
    return round(max(seconds, 0.0), 1)

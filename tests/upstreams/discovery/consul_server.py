"""Consul's health API as its documentation has it, played over real sockets.

Of `GET /v1/health/service/:service`: `passing`, `tag`, blocking queries with `index` and `wait`,
`X-Consul-Index`, and 403 for a wrong token.
"""

from __future__ import annotations

import random
import time
from typing import Any

from tests.upstreams.discovery.registry_server import Call, RegistryServer, Reply


class ConsulServer(RegistryServer):
    """A Consul agent. token: what calls must show; empty: nothing. index: what the next answer
    says the state is; every change counts it up."""

    def __init__(self) -> None:
        super().__init__()
        self.token = ""
        self.index = 10
        self.told_index: str | None = None  # instead of the true one
        self._entries: dict[str, dict[str, Any]] = {}

    def register(
        self,
        name: str,
        port: Any,
        *,
        id: str = "",  # noqa: A002
        address: Any = "127.0.0.1",
        weight: Any = 1,
        status: str = "passing",
        tags: tuple[str, ...] = (),
        meta: dict[str, str] | None = None,
    ) -> str:
        """Add an instance, or change it; returns its id."""
        identity = id or f"{name}-{port}"
        entry = {
            "Node": {"Node": "node-1", "Address": "127.0.0.1", "Datacenter": "dc1"},
            "Service": {
                "ID": identity,
                "Service": name,
                "Tags": list(tags),
                "Address": address,
                "Meta": meta or {},
                "Port": port,
                "Weights": {"Passing": weight, "Warning": 1},
            },
            "Checks": [
                {"CheckID": "serfHealth", "Status": "passing", "ServiceID": ""},
                {"CheckID": f"service:{identity}", "Status": status, "ServiceID": identity},
            ],
        }
        self._change(lambda: self._entries.update({identity: entry}))
        return identity

    def deregister(self, identity: str) -> None:
        """Take an instance away."""
        self._change(lambda: self._entries.pop(identity))

    def touch(self) -> None:
        """Count the index up, with nothing changed, as Consul may."""
        self._change(lambda: None)

    def restore(self, index: int) -> None:
        """Go on from an older index, as after a snapshot was restored."""
        with self.changed:
            self.index = index

    def _change(self, change: Any) -> None:
        with self.changed:
            change()
            self.index += 1
            self.changed.notify_all()

    def answer(self, call: Call) -> Reply:
        """See RegistryServer.answer."""
        if call.method != "GET" or call.path[:3] != ("v1", "health", "service"):
            return Reply(404)
        if self.token and call.headers.get("x-consul-token") != self.token:
            return Reply(403, b"Permission denied")
        self._block(int(call.query.get("index", "0")), call.query.get("wait", "300s"))
        with self.changed:
            found = [entry for entry in self._entries.values() if _fits(entry, call)]
            index = str(self.index) if self.told_index is None else self.told_index
        return Reply(200, found, (("X-Consul-Index", index),))

    def _block(self, index: int, wait: str) -> None:
        seconds = float(wait.removesuffix("s"))
        end = time.monotonic() + seconds + random.uniform(0, seconds / 16)
        with self.changed:
            while index and self.index <= index and not (self.closing or self.outage):
                left = end - time.monotonic()
                if left <= 0:
                    return
                self.changed.wait(min(left, 0.1))


def _fits(entry: dict[str, Any], call: Call) -> bool:
    service = entry["Service"]
    statuses = {check["Status"] for check in entry["Checks"]}
    return (
        service["Service"] == call.path[3]
        and call.query.get("tag", "") in ("", *service["Tags"])
        and (call.query.get("passing") != "true" or statuses == {"passing"})
    )

"""Eureka's REST operations as its wiki and sources have them, played over real sockets.

`/eureka/apps`, `/apps/delta`, registering, heartbeats (404 for who is not known), cancelling,
status overrides; leases that run out; the rules by which a registration's status is taken or not
(DownOrStartingRule, OverrideExistsRule, LeaseExistsRule).
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

import orjson

from tests.upstreams.discovery.registry_server import Call, RegistryServer, Reply

Key = tuple[str, str]
_FOREVER = 1e9


@dataclass(slots=True)
class Lease:
    """An instance that is registered."""

    instance: dict[str, Any]
    duration: float
    renewed: float


class EurekaServer(RegistryServer):
    """A Eureka server. deltas: whether `/apps/delta` is answered, or 403. old: a list of one is
    written as that one. user: `name:password` that calls must show, empty for none."""

    def __init__(self) -> None:
        super().__init__()
        self.deltas = True
        self.old = False
        self.user = ""
        self.status = 0  # answered to everything, unless 0
        self.leases: dict[Key, Lease] = {}
        self._overrides: dict[str, str] = {}
        self._recent: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        """What EUREKA_URL would have."""
        return f"http://{self.authority}/eureka"

    def register(self, app: str, number: int, /, *, status: str = "UP", **fields: Any) -> str:
        """Have an instance at a port that never dies; returns its id. `fields` as in JSON."""
        identity = str(fields.pop("id", f"127.0.0.1:{app}:{number}"))
        instance = {
            "instanceId": identity,
            "app": app,
            "hostName": "127.0.0.1",
            "ipAddr": "127.0.0.1",
            "status": status,
            "port": {"$": number, "@enabled": "true"},
            "securePort": {"$": 443, "@enabled": "false"},
            "metadata": {},
            **fields,
        }
        with self.changed:
            self._put(instance, _FOREVER)
        return identity

    def deregister(self, app: str, identity: str) -> None:
        """Cancel an instance."""
        with self.changed:
            self._cancel((app, identity))

    def statuses(self, app: str) -> dict[str, str]:
        """The instances of an application by their ids; what has run out is gone."""
        with self.changed:
            self._evict()
            return {
                key[1]: lease.instance["status"]
                for key, lease in self.leases.items()
                if key[0] == app
            }

    def document(self, app: str) -> dict[str, Any]:
        """What the only instance of an application was registered with."""
        with self.changed:
            (found,) = [lease.instance for key, lease in self.leases.items() if key[0] == app]
            return dict(found)

    def restart(self) -> None:
        """Know nothing any more."""
        with self.changed:
            self.leases.clear()
            self._overrides.clear()
            self._recent.clear()

    def forget_changes(self) -> None:
        """Be so late that deltas no longer have what happened."""
        with self.changed:
            self._recent.clear()

    def answer(self, call: Call) -> Reply:
        """See RegistryServer.answer."""
        if self.user:
            wanted = "Basic " + base64.b64encode(self.user.encode()).decode()
            if call.headers.get("authorization") != wanted:
                return Reply(401)
        if self.status:
            return Reply(self.status)
        if call.path[:2] != ("eureka", "apps"):
            return Reply(404)
        with self.changed:
            self._evict()
            return self._answer(call, call.path[2:])

    def _answer(self, call: Call, path: tuple[str, ...]) -> Reply:
        if call.method == "GET":
            return self._read(path)
        app = path[0].upper()
        if call.method == "POST" and len(path) == 1:
            instance = orjson.loads(call.body)["instance"]
            if instance["app"] != app or not instance["hostName"]:
                return Reply(400)
            self._put(instance, instance["leaseInfo"]["durationInSecs"])
            return Reply(204)
        lease = self.leases.get((app, path[1]))
        if lease is None:
            return Reply(404)
        if path[2:] == ("status",):
            return self._override(call, lease)
        if call.method == "DELETE":
            self._cancel((app, path[1]))
            return Reply(200)
        return self._renew(call, lease)

    def _renew(self, call: Call, lease: Lease) -> Reply:
        lease.renewed = time.monotonic()
        stamp = int(call.query.get("lastDirtyTimestamp", "0"))
        newer = stamp > int(lease.instance.get("lastDirtyTimestamp", "0"))
        return Reply(404 if newer else 200)

    def _override(self, call: Call, lease: Lease) -> Reply:
        identity = lease.instance["instanceId"]
        if call.method == "PUT":
            self._overrides[identity] = call.query["value"]
        else:
            self._overrides.pop(identity, None)
        lease.instance["status"] = call.query["value"]
        self._recent.append(("MODIFIED", dict(lease.instance)))
        return Reply(200)

    def _put(self, instance: dict[str, Any], duration: float) -> None:
        key = (instance["app"], instance["instanceId"])
        existing = self.leases.get(key)
        instance["status"] = self._decided(instance, existing)
        self.leases[key] = Lease(instance, duration, time.monotonic())
        self._recent.append(("ADDED", dict(instance)))

    def _decided(self, instance: dict[str, Any], existing: Lease | None) -> str:
        told = str(instance["status"])
        if told not in ("UP", "OUT_OF_SERVICE"):
            return told
        if override := self._overrides.get(instance["instanceId"]):
            return override
        if existing is not None and existing.duration < _FOREVER:  # a test says what it likes
            before = str(existing.instance["status"])
            if before in ("UP", "OUT_OF_SERVICE"):
                return before
        return told

    def _cancel(self, key: Key) -> None:
        lease = self.leases.pop(key)
        self._overrides.pop(key[1], None)
        self._recent.append(("DELETED", dict(lease.instance)))

    def _evict(self) -> None:
        now = time.monotonic()
        for key, lease in list(self.leases.items()):
            if now > lease.renewed + lease.duration:
                self._cancel(key)

    def _read(self, path: tuple[str, ...]) -> Reply:
        if path == ("delta",):
            if not self.deltas:
                return Reply(403)
            changes = [{**instance, "actionType": action} for action, instance in self._recent]
            return Reply(200, self._applications(changes))
        if path:
            return Reply(404)
        return Reply(200, self._applications([lease.instance for lease in self.leases.values()]))

    def _applications(self, instances: list[dict[str, Any]]) -> dict[str, Any]:
        counts: dict[str, int] = {}
        for lease in self.leases.values():
            status = lease.instance["status"]
            counts[status] = counts.get(status, 0) + 1
        names = dict.fromkeys(one["app"] for one in instances)
        listed = [
            self._application(name, [one for one in instances if one["app"] == name])
            for name in names
        ]
        return {
            "applications": {
                "versions__delta": "1",
                "apps__hashcode": "".join(f"{name}_{n}_" for name, n in sorted(counts.items())),
                "application": self._list(listed),
            }
        }

    def _application(self, name: str, instances: list[dict[str, Any]]) -> dict[str, Any]:
        return {"name": name, "instance": self._list(instances)}

    def _list(self, members: list[dict[str, Any]]) -> Any:
        return members[0] if self.old and len(members) == 1 else members

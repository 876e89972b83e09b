"""A gateway whose instances are found at run time, and which tells what each worker knows."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from gateway import DiscoveryError, Found, Look, Service, create_app, parse_targets, public


@dataclass(frozen=True)
class Note:
    """A provider as users write one: a file holds the list, and `down` means that it fails."""

    variable: str

    def begin(self) -> Look:
        return self._look

    def _look(self, over: threading.Event) -> Found:
        text = Path(os.environ[self.variable]).read_text()
        if text == "down":
            raise DiscoveryError("the note is down")
        return Found(parse_targets(text), 0.2)


things = Service("things", __name__, url_prefix="/things")
own = Service("own", __name__, url_prefix="/own", discovery=Note("NOTE"))


@things.get("/worker")
@own.get("/worker")
def worker() -> dict[str, object]:
    """Which worker answers, and the instances it knows."""
    runtimes = current_app.extensions["gateway"].runtimes
    return {
        "pid": os.getpid(),
        **{name: [n.target.name for n in one.pool.nodes] for name, one in runtimes.items()},
    }


for service in (things, own):
    public(service)

app = create_app(services=[things, own])

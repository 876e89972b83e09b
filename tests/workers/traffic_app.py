"""The gateway of the tests of traffic policies: it tells what its worker holds."""

from __future__ import annotations

import threading
from pathlib import Path

from gateway import Hedge, Mirror, RoundRobin, Service, create_app, parallel, public

parallel.IDLE_SECONDS = 0.5

hedged = Service(
    "hedged",
    __name__,
    url_prefix="/hedged",
    load_balancing=RoundRobin(),
    policies=[Hedge(after=0.05, budget=1.0)],
)
mirrored = Service(
    "mirrored", __name__, url_prefix="/mirrored", policies=[Mirror("shadow", most=5, seconds=60)]
)
shadow = Service("shadow", __name__, url_prefix=None)
public(hedged)
public(mirrored)


@mirrored.get("/-/held")
def held() -> dict[str, int]:
    """Threads, or what stands for them, and open files."""
    names = [thread.name for thread in threading.enumerate()]
    files = list(Path("/proc/self/fd").iterdir())
    return {"beside": names.count("gateway-parallel"), "files": len(files)}


app = create_app(services=[hedged, mirrored, shadow])

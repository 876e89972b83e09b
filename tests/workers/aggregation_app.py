"""The gateway of the tests of aggregation: it tells what its worker holds."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

from flask import Response

from gateway import Frontend, Retry, Service, Timeouts, create_app, gather, parallel, public

parallel.IDLE_SECONDS = 0.5

parts = [
    public(Service(name, __name__, url_prefix=f"/{name}", policies=[Retry()]))
    for name in ("a", "b", "c", "d")
]
a, b, c, d = parts
front = public(
    Frontend("front", __name__, url_prefix="/front", uses=parts, timeouts=Timeouts(total=4))
)


@front.get("/two")
def two() -> Response:
    """Two legs side by side."""
    return gather(one=a.fetch("/1"), two=b.fetch("/2")).respond()


@front.get("/four")
def four() -> Response:
    """Four legs side by side."""
    return gather(one=a.fetch(), two=b.fetch(), three=c.fetch(), four=d.fetch()).respond()


@front.get("/needed")
def needed() -> Response:
    """A leg that is needed, and one that is not."""
    return gather(one=a.fetch("/1", required=True), two=b.fetch("/2")).respond()


@front.get("/quick")
def quick() -> Response:
    """A leg with little time of its own."""
    return gather(one=a.fetch("/1", timeout=0.3, default="none"), two=b.fetch("/2")).respond()


@front.get("/-/held")
def held() -> dict[str, int]:
    """What tasks run on, and open files."""
    names = [thread.name for thread in threading.enumerate()]
    files = list(Path("/proc/self/fd").iterdir())
    gc.collect()
    greenlets = [one for one in gc.get_objects() if type(one).__name__ == "Greenlet"]
    return {
        "beside": names.count("gateway-parallel"),
        "files": len(files),
        "greenlets": len(greenlets),
    }


app = create_app(services=[*parts, front])

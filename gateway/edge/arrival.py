"""When a request arrived at the platform, which may have let it wait before it came to us."""

from __future__ import annotations

import re

_TIME = re.compile(r"(?:t=)?(\d{9,16}(?:\.\d{1,9})?)", re.ASCII)
# An arrival longer ago than this is a wrong clock: no platform lets a client wait so long.
_MOST = 60.0


def queue_seconds(told: str, now: float) -> float:
    """How long ago `X-Request-Start` was, in seconds; 0 if it cannot be believed.

    told: Unix time in seconds (nginx: `t=${msec}`), milliseconds (Heroku) or microseconds
    (Apache), told apart by their size; of several values the last, which the nearest proxy wrote.
    A time to come, or more than a minute ago, is not believed. now: the Unix time.
    """
    match = _TIME.fullmatch(told.rpartition(",")[2].strip())
    if match is None:
        return 0.0
    began = float(match[1])
    for limit, unit in ((1e14, 1e6), (1e11, 1e3)):
        if began >= limit:
            began /= unit
            break
    queued = now - began
    return queued if 0.0 < queued <= _MOST else 0.0

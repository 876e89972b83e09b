"""One id for a request on all its way: taken over if well-formed, else made."""

from __future__ import annotations

import os
import re
from typing import Any

_WELL_FORMED = re.compile(r"[A-Za-z0-9._\-]{8,128}")


def request_id(environ: dict[str, Any]) -> str:
    """The client's `X-Request-ID` (8 to 128 letters, digits, `.`, `_`, `-`), or a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    if given is not None and _WELL_FORMED.fullmatch(given):
        return str(given)
    return os.urandom(16).hex()

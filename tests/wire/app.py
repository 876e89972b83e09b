"""The gateway of the wire tests: services that only forward, one for each option of forwarding.

Run under gunicorn as `tests.wire.app:app`; each service reads its upstream from `<NAME>_URL`.
"""

from __future__ import annotations

from gateway import Cache, Service, Timeouts, create_app, public, require
from gateway.transforms import Query, RequestHeaders, ResponseHeaders, StandardHeaders

SERVICES = (
    Service("plain", __name__, url_prefix="/plain"),
    Service("slashes", __name__, url_prefix="/slashes", allow_encoded_slashes=True),
    Service("stripped", __name__, url_prefix="/api/v1/stripped", strip_prefix=True),
    Service("partly", __name__, url_prefix="/api/v1/partly", strip_prefix="/api/v1"),
    Service("based", __name__, url_prefix="/based"),
    Service("host", __name__, url_prefix="/host", preserve_host=True),
    Service(
        "quick",
        __name__,
        url_prefix="/quick",
        timeouts=Timeouts(connect=0.5, read=0.5, total=1.5),
    ),
    Service("small", __name__, url_prefix="/small", max_body=1000),
    Service("big", __name__, url_prefix="/big", max_body=None),
    Service("refused", __name__, url_prefix="/refused"),
    Service("full", __name__, url_prefix="/full", timeouts=Timeouts(connect=0.5)),
    Service("empty", __name__, url_prefix="/empty"),
    Service("cached", __name__, url_prefix="/cached", policies=[Cache()]),
    Service(
        "shaped",
        __name__,
        url_prefix="/shaped",
        policies=[
            StandardHeaders(),
            RequestHeaders(set={"X-Asked": "{query.q}", "X-Copy": "<{header.x-sent}>"}),
            Query(remove=["debug"], set={"from": "{header.x-sent}"}),
            ResponseHeaders(
                remove=["Server"], set={"X-Frame-Options": "DENY", "X-Echo": "{query.q}"}
            ),
        ],
    ),
)
GUARDED = Service("guarded", __name__, url_prefix="/guarded")

for service in SERVICES:
    public(service)
require()(GUARDED)

app = create_app(services=[*SERVICES, GUARDED])

"""The gateway of the wire tests of JSON bodies; its service reads its upstream from `JSON_URL`."""

from __future__ import annotations

from gateway import Retry, Service, Timeouts, create_app, public
from gateway.transforms import RequestJSON, ResponseJSON

service = Service(
    "json",
    __name__,
    url_prefix="/json",
    policies=[
        RequestJSON(rename={"clientId": "client_id"}),
        Retry(),
        ResponseJSON(deny=["password"], rename={"client_id": "clientId"}),
    ],
    timeouts=Timeouts(read=2, total=5),
)

app = create_app(services=[public(service)])

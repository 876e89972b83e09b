"""`flask gateway explain`: what goes in, and what a backend would be sent."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.testing import ScriptedUpstream
from tests.explaining.app import make
from tests.explaining.support import WRITER, Explain
from tests.support.wsgi import token


def test_what_goes_in_and_out(listener: ScriptedUpstream, explain: Explain) -> None:
    found = explain(
        *(
            "GET",
            "/orders/7?access_token=hunter2&page=2",
            "--token",
            token("ada", permissions=["order:read"]),
        ),
        *("--header", "Cookie: a=hunter2; b=hunter2", "--header", "X-User-ID: root"),
        *("--header", "X-My-Secret: hunter2", "--header", "Accept: text/html"),
        *("--address", "203.0.113.9", "--host", "api.example"),
    )
    asked = dict(found["request"]["fields"])
    assert asked["Authorization"] == "Bearer ***"
    assert asked["Cookie"] == "a=***; b=***"
    assert (asked["X-My-Secret"], asked["X-User-Id"]) == ("***", "root")
    assert found["request"]["target"] == "/orders/7?access_token=***&page=2"
    upstream = found["upstream"]
    assert upstream["method"] == "GET"
    assert upstream["url"] == f"{listener.url}/7?access_token=***&page=2"
    fields = dict(upstream["fields"])
    assert "Authorization" not in fields  # hidden
    assert fields["Cookie"] == "a=***; b=***"
    assert fields["X-User-ID"] == "ada"
    assert fields["X-Forwarded-For"] == "203.0.113.9"
    assert fields["X-Forwarded-Host"] == "api.example"
    assert fields["X-Forwarded-Prefix"] == "/orders"
    assert fields["Accept"] == "text/html"
    assert "X-Request-Deadline" in fields
    assert "hunter2" not in json.dumps(found)


def test_a_body_is_outlined_and_not_read(explain: Explain) -> None:
    found = explain("PUT", "/orders/7", *WRITER, "--data", '{"a": 1}')
    assert dict(found["upstream"]["fields"])["Content-Length"] == "8"


def test_a_url_says_scheme_and_host(explain: Explain) -> None:
    found = explain("GET", "https://api.example:8443/things/1?page=2")
    assert found["request"]["url"] == "https://api.example:8443"
    assert dict(found["upstream"]["fields"])["X-Forwarded-Proto"] == "https"
    assert found["cache"]["differs_by"][0] == "https://api.example:8443"


def test_a_peer_that_is_a_proxy(listener: ScriptedUpstream, shared: Path, explain: Explain) -> None:
    app = make(listener.url, f"lmdb://{shared}", TRUSTED_PROXIES="10.0.0.0/8,unix")
    words = ["--header", "X-Forwarded-For: 203.0.113.9"]
    for address in ("10.1.2.3", "unix"):
        found = explain("GET", "/things/1", "--address", address, *words, to=app)
        assert found["request"]["address"] == "203.0.113.9"
        assert found["request"]["trusted_peer"]
    found = explain("GET", "/things/1", "--address", "192.0.2.1", *words, to=app)
    assert found["request"]["address"] == "192.0.2.1"

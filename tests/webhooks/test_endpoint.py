"""Events handed in over HTTP: who may, what is answered, and when it is stored."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask, Response

from gateway import ConfigurationError, Service, require
from gateway.database.schema import upgrade
from gateway.webhooks import take_event
from gateway.webhooks.event import LONGEST
from tests.support.gunicorn import wait_for
from tests.support.wsgi import Answer, bearer, call, make_app, open_service
from tests.webhooks.receiver import SECRET, Receiver, receiving, webhooks


def with_events(**settings: Any) -> Flask:
    """A gateway with the view, for those who have `webhook:send`."""
    service = Service("events", __name__, url_prefix="/events", upstream="")
    require("webhook:send")(service)

    @service.post("")
    def hand_in() -> Response:
        return take_event()

    return make_app(service, **settings)


@pytest.fixture(scope="module")
def shared() -> Iterator[Receiver]:
    """The partner of all tests here."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def app(module_url: str, shared: Receiver) -> Iterator[Flask]:
    """A gateway with two partners, who are told at the same place."""
    said = webhooks(("acme", shared.url), events=["order.*"])
    said |= webhooks(("beta", shared.url), events=["*"])
    with opened(with_events(DATABASE_URL=module_url, WEBHOOKS=said)) as made:
        yield made


@contextlib.contextmanager
def opened(app: Flask) -> Iterator[Flask]:
    """An application that leaves nothing behind."""
    yield app
    gateway = app.extensions["gateway"]
    gateway.pulse.end()
    gateway.records.close()


def send(app: Flask, body: Any, *permissions: str, **changes: Any) -> Answer:
    """Hand in as somebody who may, unless permissions are named; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    told = {"CONTENT_TYPE": "application/json", **changes}
    fields = [bearer(*(permissions or ("webhook:send",)))]
    return call(app, "/events", "POST", fields, data, **told)


def event(**more: Any) -> dict[str, Any]:
    return {"type": "order.shipped", "data": {"id": 7}, **more}


def test_an_event_is_taken_and_everyone_who_subscribed_is_told(
    app: Flask, shared: Receiver
) -> None:
    taken = send(app, event(id="new"))
    assert taken.status == 202
    assert taken.header("Cache-Control") == ["no-store"]
    assert (taken.json["id"], taken.json["duplicate"]) == ("new", False)
    assert len(set(taken.json["deliveries"])) == 2
    assert wait_for(lambda: shared.ids.count("new") == 2)
    told = [one for one in shared.received if one.id == "new"]
    assert all(one.signed_by(SECRET) for one in told)
    assert told[0].json["data"] == {"id": 7}


def test_a_repeated_event_is_told_once(app: Flask, shared: Receiver) -> None:
    first, again = send(app, event(id="twice")), send(app, event(id="twice"))
    assert again.status == 202
    assert again.json["duplicate"]
    assert sorted(again.json["deliveries"]) == sorted(first.json["deliveries"])
    other = send(app, event(id="twice", data={}))
    assert (other.status, other.code) == (409, "event_id_taken")
    send(app, event(id="later"))
    assert wait_for(lambda: shared.ids.count("later") == 2)
    assert shared.ids.count("twice") == 2


@pytest.mark.parametrize(
    ("said", "deliveries"),
    [
        ({"type": "user.made"}, 1),
        ({"partner": "acme"}, 1),
        ({"partner": "gamma"}, 0),
        ({"type": "user.made", "partner": "acme"}, 0),
    ],
)
def test_who_is_told(app: Flask, said: dict[str, str], deliveries: int) -> None:
    taken = send(app, event(**said))
    assert (taken.status, len(taken.json["deliveries"])) == (202, deliveries)


def test_who_may_not(app: Flask) -> None:
    assert send(app, event(), "order:read").status == 403
    assert call(app, "/events", "POST", body=b"{}").status == 401


@pytest.mark.parametrize(
    ("body", "changes", "status", "code"),
    [
        (b"{", {}, 400, "event_unclear"),
        (b"", {}, 400, "event_unclear"),
        (event(more=1), {}, 400, "event_unclear"),
        (event(), {"CONTENT_TYPE": "text/plain"}, 415, "unsupported_media_type"),
        (event(data={"x": "x" * LONGEST}), {}, 413, "body_too_large"),
    ],
)
def test_what_is_refused(
    app: Flask, body: Any, changes: dict[str, str], status: int, code: str
) -> None:
    refused = send(app, body, **changes)
    assert (refused.status, refused.code) == (status, code)


def test_without_tables_it_is_503_and_may_be_sent_again(tmp_path: Path, partner: Receiver) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    with opened(with_events(DATABASE_URL=url, WEBHOOKS=webhooks(("acme", partner.url)))) as app:
        refused = send(app, event(id="e-1"))
        assert (refused.status, refused.code) == (503, "events_unavailable")
        assert refused.header("Retry-After") == ["1"]
        upgrade(url)
        assert wait_for(lambda: send(app, event(id="e-1")).status == 202)
        assert wait_for(lambda: partner.ids == ["e-1"])


def test_without_webhooks_nobody_is_told_and_nothing_is_stored() -> None:
    app = with_events()
    taken = send(app, event(id="e-1"))
    assert (taken.status, taken.json) == (
        202,
        {"id": "e-1", "deliveries": [], "duplicate": False},
    )
    assert app.extensions["gateway"].records is None
    assert send(app, b"{").status == 400


def test_faults_are_told_at_start() -> None:
    said = webhooks(("acme", "http://acme.example"), secret="env:NOWHERE")
    with pytest.raises(ConfigurationError) as caught:
        make_app(open_service()[0], WEBHOOKS=said, DATABASE_URL="mysql://h")
    assert [fault.split(" ")[0] for fault in caught.value.faults] == [
        "DATABASE_URL:",
        "WEBHOOKS.acme.url",
        "WEBHOOKS.acme.secret",
    ]


def test_a_gateway_without_webhooks_loads_none_of_it() -> None:
    code = (
        "import sys\n"
        "from tests.support.wsgi import make_app, open_service\n"
        "make_app(open_service()[0])\n"
        "loaded = {name for name in sys.modules if name.startswith('gateway.webhooks')}\n"
        "assert loaded == {'gateway.webhooks', 'gateway.webhooks.opening'}, loaded\n"
        "assert 'sqlalchemy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

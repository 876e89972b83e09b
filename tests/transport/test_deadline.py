"""A request whose time is over is sent to nobody."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway import Ejection, NotSent, Service, public
from gateway.testing import ScriptedUpstream
from tests.support.outline import outline
from tests.support.wsgi import make_app


def test_a_deadline_that_has_passed_opens_no_connection(upstream: ScriptedUpstream) -> None:
    service = Service(
        "things", __name__, url_prefix="/", upstream=upstream.url, ejection=Ejection(failures=1)
    )
    runtime = make_app(public(service)).extensions["gateway"].runtimes["things"]
    late = replace(outline(), deadline=time.monotonic())
    with pytest.raises(NotSent) as caught:
        runtime.handler(late)
    error = caught.value
    assert (error.status, error.reason, error.retry_safe) == (504, "deadline_exceeded", True)
    assert (error.target, late.exchange.attempts) == ("", [])
    assert runtime.pool.nodes[0].failures == 0, "the instance is not to blame"
    assert upstream.connections == 0
    response = runtime.handler(outline())
    assert b"".join(response.body) == b"ok"
    runtime.handler.session.close()

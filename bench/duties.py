"""What a gateway has to do for each request, checked before its speed counts."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping

from backend import BODY
from contenders import USER_ID, Contender
from processes import BenchError

START_SECONDS = 20.0


def check(contender: Contender, authorization: str) -> None:
    """Raise BenchError with everything that the server does not do."""
    token = authorization.partition(": ")[2]
    _wait_for_the_first_answer(contender, token)
    if contender.gateway:
        faults = _faults(contender, token)
        if faults:
            raise BenchError(f"{contender.name}: {'; '.join(faults)}")


def _wait_for_the_first_answer(contender: Contender, token: str) -> None:
    # gunicorn's master listens before its worker has loaded the application.
    deadline = time.monotonic() + START_SECONDS
    answer: object = "no answer"
    while time.monotonic() < deadline:
        try:
            status, _, body = _get(contender, contender.path, {"Authorization": token})
        except OSError as error:
            answer = error
        else:
            if status == 200:
                return
            answer = f"{status} {body[:300]!r}"
        time.sleep(0.1)
    raise BenchError(f"{contender.name} does not answer 200: {answer}")


def _faults(contender: Contender, token: str) -> list[str]:
    allowed = {"Authorization": token}
    faults = []
    _, headers, body = _get(contender, contender.path, allowed)
    if body != BODY:
        faults.append("the backend's body does not arrive unchanged")
    if "etag" not in headers:
        faults.append("the backend's ETag is lost")
    if "x-ratelimit-remaining" not in headers:
        faults.append("no X-RateLimit headers")
    if _get(contender, contender.path, {})[0] != 401:
        faults.append("a request without a token is not refused with 401")
    hop = {"Connection": "keep-alive, X-Hop", "X-Hop": "1", "X-User-ID": "forged"}
    _, _, seen = _get(contender, contender.path + "?bench-echo=1", allowed | hop)
    return faults + _forwarding_faults(seen.decode("latin-1"))


def _forwarding_faults(head: str) -> list[str]:
    lines = [line.partition(": ") for line in head.splitlines()[1:]]
    seen = [(name.lower(), value) for name, _, value in lines]
    names = {name for name, _ in seen}
    faults = [f"no {name} forwarded" for name in _FORWARDED if name not in names]
    if [value for name, value in seen if name == "x-user-id"] != [USER_ID]:
        faults.append("X-User-ID is not the token's subject alone")
    if "x-hop" in names:
        faults.append("a header named in Connection is forwarded")
    return faults


_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id")


def _get(
    contender: Contender, path: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=5)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return response.status, {name.lower(): v for name, v in response.getheaders()}, body

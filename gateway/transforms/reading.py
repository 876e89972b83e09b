"""Bodies taken in whole, up to a bound: only what has to look at a body as a whole does this.

Nothing is decoded here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.bodies import BytesBody
from gateway.errors import Refusal, UnusableAnswer
from gateway.exchange import UpstreamRequest, UpstreamResponse

#: Most bytes of a body that is taken in, unless told otherwise: 1 MiB.
MAX_BYTES = 1 << 20


def read_request(request: UpstreamRequest, limit: int) -> bytes:
    """All of a request's body, waited for until the request's deadline; empty for none.

    What goes on in its place is a `BytesBody` of it, which can be sent again whatever its size.
    Raises Refusal, 413, if it is longer than `limit` bytes, without reading any of one that says so
    beforehand; and what the body raises: ClientBodyError, ClientGone.
    """
    body = request.body
    if body is None:
        return b""
    if body.length is not None and body.length > limit:
        raise _too_large(limit)
    if isinstance(body, BytesBody):  # another transform has read it
        return body.whole()
    pieces: list[bytes] = []
    size = 0
    while not body.finished:
        piece = body.next_piece(request.deadline)
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> Refusal:
    return Refusal(
        f"The request body is larger than {limit} bytes.", status=413, slug="body_too_large"
    )


def read_response(
    request: UpstreamRequest,
    response: UpstreamResponse,
    limit: int,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """All of an answer's body, which is closed then, however that ended.

    It may take as long again as a response head may (`Timeouts.total`, from now on), and a read
    timeout more where nothing comes at the end. Raises BodyFailed if it breaks, a proper 502 since
    no head was sent yet, and UnusableAnswer if it is longer than `limit` bytes (502) or takes too
    long (504); ClientGone if nobody waits for it any more. `retry_safe` is False.
    """
    total = request.timeouts.total
    end = None if total is None else clock() + total
    pieces: list[bytes] = []
    size = 0
    try:
        _refuse_announced(response, limit)
        for piece in response.body:
            size += len(piece)
            if size > limit:
                raise _too_long(response, limit)
            if end is not None and clock() > end:
                why = "its body did not come in time"
                raise unusable(response, why, reason="http_response_timeout", status=504)
            pieces.append(piece)
    finally:
        response.body.close()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _refuse_announced(response: UpstreamResponse, limit: int) -> None:
    for name, value in response.headers:
        if name.lower() == "content-length" and len(value) < 19 and value.isdecimal():
            if int(value) > limit:
                raise _too_long(response, limit)
            return


def _too_long(response: UpstreamResponse, limit: int) -> UnusableAnswer:
    why = f"its body is larger than {limit} bytes"
    return unusable(response, why, reason="http_response_body_size")


def unusable(
    response: UpstreamResponse,
    why: str,
    *,
    reason: str = "untransformable_response",
    status: int = 502,
) -> UnusableAnswer:
    """The error of an answer that cannot go on. why: for the log. reason: RFC 9209's word if there
    is one."""
    error = UnusableAnswer(reason, why, status=status)
    error.target = response.target
    return error

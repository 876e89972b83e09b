"""Asking a server whether a request may pass, in the words of Open Policy Agent's data API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from flask import Request, current_app

from gateway.authentication.decisions import Decisions, NoDecision
from gateway.authentication.identity import Identity
from gateway.authentication.outage import Outage
from gateway.errors import AuthorityUnavailable
from gateway.headers import named_in_connection
from gateway.transport.calls import Answer, Caller, Server
from gateway.urls import raw_target

if TYPE_CHECKING:
    from gateway.application import Gateway

#: The largest answer that is read, in bytes: a decision is a few.
LARGEST = 64 * 1024
#: Decisions that a worker remembers for one decision point, if it remembers any.
MOST = 10_000

_NAME = re.compile(r"[A-Za-z0-9\-]+")
_TOKEN = re.compile(r"[!-~]+")


class PolicyDecisionPoint:
    """A part of `require` that a server decides: Open Policy Agent, or what answers as it does.

    url: of the rule, such as `http://127.0.0.1:8181/v1/data/orders/allow`.
    token: sent as a bearer token; empty for none. The url may have a user and password instead.
    timeout: seconds for the whole call.
    headers: names of request fields that are told; one that may hold a credential is a fault.
    claims: True tells all that the credential says, beside what every identity has.
    fail_open: True permits what cannot be decided because the server is not there, or answers
        5xx. A server that answers anything else but a decision refuses in any case.
    cache: seconds for which this worker remembers a decision about the very same input, 0 for
        none; 10,000 decisions at most, known by a hash. Failures are not remembered.
    connections: most of a worker that are kept, and used at once; further requests wait for one.
    ca_file: authorities trusted for https; None for UPSTREAM_CA_FILE.

    A worker whose five last calls were not answered asks once in a second only, for all: the other
    requests do not wait. At most as many requests wait for it as the worker forwards. Raises
    AuthorityUnavailable (503) without a decision; asking again is safe. ValueError for options
    that cannot be.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        timeout: float = 1.0,
        headers: Sequence[str] = (),
        claims: bool = False,
        fail_open: bool = False,
        cache: float = 0,
        connections: int = 16,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(isinstance(url, str), "url is an address")
        try:
            self._server = Server.parse(url)
        except ValueError as error:
            raise ValueError(f"PolicyDecisionPoint: url {error}") from None
        if token:
            _check(_TOKEN.fullmatch(token) is not None, "token is one word of visible ASCII")
            self._server = replace(self._server, authorization=f"Bearer {token}")
        _check(_number(timeout) and timeout > 0, "timeout is a number above 0")
        _check(_number(cache) and cache >= 0, "cache is a number, not below 0")
        whole = isinstance(connections, int) and not isinstance(connections, bool)
        _check(whole and connections > 0, "connections is a whole number above 0")
        _check(isinstance(claims, bool), "claims is True or False")
        _check(isinstance(fail_open, bool), "fail_open is True or False")
        names = () if isinstance(headers, str) else tuple(headers)
        right = all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
        _check(right and not isinstance(headers, str), "headers is a list of field names")
        self._headers = tuple(name.lower() for name in names)
        self._timeout = timeout
        self._claims = claims
        self._fail_open = fail_open
        self._connections = connections
        self._ca_file = ca_file
        self._cache = cache
        self._clock = clock
        self._made: tuple[Gateway, Caller, Decisions[bool]] | None = None
        self._outage = Outage(str(self), clock)

    def __str__(self) -> str:
        origin = self._server.origin
        return f"decision point {origin.url}{origin.base_path}"

    def faults(self, credentials: frozenset[str]) -> list[str]:
        """See JudgedPolicy.faults."""
        found = [
            f"headers names {name!r}, which may hold a credential"
            for name in self._headers
            if name in credentials
        ]
        if self._ca_file and not Path(self._ca_file).is_file():
            found.append("ca_file is no file")
        return found

    def __call__(self, identity: Identity, request: Request) -> bool:
        """What the server decides, or what it decided a moment ago."""
        gateway: Gateway = current_app.extensions["gateway"]
        caller, decisions = self._of(gateway)
        body = _encoded({"input": self._input(identity, request)})
        key = blake2b(body, digest_size=32).digest() if self._cache else None
        known = None if key is None else decisions.known(key)
        if known is not None:
            return known
        request_id = request.environ["gateway.exchange"].request_id
        try:
            return decisions.settle(key, lambda: self._asked(body, request_id, caller))
        except NoDecision as error:
            return self._undecided(error, request, gateway)

    def _input(self, identity: Identity, request: Request) -> dict[str, Any]:
        environ = request.environ
        route = environ["gateway.route"]
        told: dict[str, Any] = {
            "subject": identity.subject,
            "kind": identity.kind,
            "scheme": identity.scheme,
            "roles": identity.roles,
            "permissions": identity.permissions,
            "scopes": identity.scopes,
            "plan": identity.plan,
        }
        if self._claims:
            told["claims"] = identity.claims
        dropped = named_in_connection([environ.get("HTTP_CONNECTION", "")]) if self._headers else ()
        given = ((name, request.headers.get(name)) for name in self._headers if name not in dropped)
        return {
            "method": request.method,
            "path": [unquote(part) for part in raw_target(environ)[0].split("/") if part],
            "query": request.args.to_dict(flat=False),
            "headers": {name: value for name, value in given if value is not None},
            "identity": told,
            "client": environ["gateway.edge"].address,
            "route": environ["gateway.exchange"].route,
            "service": "" if route.service is None else route.service.name,
        }

    def _undecided(self, error: NoDecision, request: Request, gateway: Gateway) -> bool:
        if not (self._fail_open and error.down):
            raise AuthorityUnavailable(
                "Whether this is permitted cannot be found out at the moment."
            ) from error
        if gateway.security is not None:
            gateway.security.note(
                "authority_unavailable",
                request.environ,
                scheme="",
                reason=str(error),
                let_in=True,
            )
        return True

    def _asked(self, body: bytes, request_id: str, caller: Caller) -> bool:
        def call() -> Answer:
            told = [("X-Request-ID", request_id)]
            return caller.call("POST", seconds=self._timeout, headers=told, body=body)

        return self._outage.decision(call, _decision)

    def _of(self, gateway: Gateway) -> tuple[Caller, Decisions[bool]]:
        """What asks the server for this gateway, made by the worker when it is needed."""
        made = self._made
        if made is None or made[0] is not gateway:
            settings = gateway.settings
            trusted = settings.UPSTREAM_CA_FILE if self._ca_file is None else self._ca_file
            caller = Caller(
                self._server, ca_file=trusted, connections=self._connections, largest=LARGEST
            )
            decisions: Decisions[bool] = Decisions(
                lambda _: self._cache,
                MOST,
                self._timeout + 1.0,
                self._clock,
                waiting=settings.worker_concurrency,
            )
            made = self._made = (gateway, caller, decisions)
        return made[1:]


def _decision(answer: Answer) -> bool:
    """`{"result": true}` or `{"result": {"allow": true}}`; without one of these, no. Raises
    NoDecision for an answer that is none."""
    if answer.status != 200:
        raise NoDecision(f"{answer.server} answers {answer.status}", down=answer.status >= 500)
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise NoDecision(f"{answer.server} answers with no JSON object", down=False)
    result = found.get("result", False)  # undefined: no rule said yes
    if isinstance(result, dict):
        result = result.get("allow", False)
    if result is True or result is False:
        return result
    raise NoDecision(f"{answer.server} decides neither true nor false", down=False)


def _encoded(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # a claim such as a number of 400 digits
        return json.dumps(value).encode()


def _check(right: bool, wrong: str) -> None:
    if not right:
        raise ValueError(f"PolicyDecisionPoint: {wrong}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

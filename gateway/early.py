"""Answers from memory, before Flask has the request: a kept answer needs neither it nor a backend.

Only where nothing is left out by it: the service forwards by itself, nobody registered hooks of his
own, and nothing that applies to the request may look at `flask.request`. The request is examined,
admitted, counted and accounted for as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from gateway.admission import Admission
from gateway.early_places import EarlyPlace, early_places
from gateway.edge.door import StartResponse, examine, note_route
from gateway.exchange import Exchange, early_of
from gateway.forwarded import refuse_loop
from gateway.forwarding import client_fields, status_line
from gateway.headers import environ_name
from gateway.requester import Requester
from gateway.urls import raw_target, strip_prefix

if TYPE_CHECKING:
    from gateway.application import Gateway
    from gateway.authentication.accepted import AcceptedSchemes

# Fields that reach a backend as the client wrote them. Others may be the gateway's own by then.
_PLAIN = {
    name: environ_name(name)
    for name in (
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("origin", "pragma", "range", "save-data", "user-agent", "x-requested-with"),
    )
}


class _Asked:
    """As much of a request as an answer from memory depends on; see exchange.Asked."""

    __slots__ = ("_environ", "exchange", "method", "requester", "target")

    #: Nothing: no policy has had the request yet.
    differs: tuple[str, ...] = ()

    def __init__(
        self, environ: dict[str, Any], exchange: Exchange, path: str, requester: Requester
    ) -> None:
        self._environ = environ
        self.exchange = exchange
        self.method: str = environ["REQUEST_METHOD"]
        self.requester = requester
        query = requester.target[1]
        self.target = path if query is None else f"{path}?{query}"

    def field(self, name: str) -> str | None:
        """A field that passes as it is; None for others."""
        key = _PLAIN.get(name)
        return None if key is None else self._environ.get(key, "")


class EarlyAnswers:
    """The endpoints of an application that may be answered early, found at the first request:
    until then hooks may be added."""

    def __init__(
        self, app: Flask, gateway: Gateway, admission: Admission, schemes: AcceptedSchemes
    ) -> None:
        self._find = partial(early_places, app, gateway, schemes)
        self._admission = admission
        self._rules = app.url_map.bind("")
        self._places: Mapping[str, EarlyPlace] | None = None
        self._alone: tuple[EarlyPlace, ...] = ()
        self._prefixes: tuple[str, ...] = ()

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes] | None:
        """Answer a request, or leave it to Flask: None."""
        if self._places is None:
            self._places = self._find()
            self._prefixes = tuple(place.prefix for place in self._places.values())
            self._alone = tuple(place for place in self._places.values() if place.alone)
        path: str = environ["PATH_INFO"]
        if not path.startswith(self._prefixes) or not _plain(environ):
            return None
        found = self._place(path, environ)
        if found is None:
            return None
        place, upstream_path = found
        exchange: Exchange = environ["gateway.exchange"]
        if not self._admission.ahead(environ):
            return None
        requester = Requester(environ, environ.get("gateway.identity"), place.runtime.credentials)
        response = place.early(_Asked(environ, exchange, upstream_path, requester))
        if response is None:
            return None
        start(
            status_line(response),
            client_fields(response, place.runtime, environ["gateway.edge"]),
        )
        return response.body

    def _place(self, path: str, environ: dict[str, Any]) -> tuple[EarlyPlace, str] | None:
        """Where a request belongs, and its path for the upstream, once nothing is wrong with it;
        what is, Flask will tell."""
        try:
            place, rule = self._matched(path, environ["REQUEST_METHOD"])
            if place is None:
                return None
            examine(environ, place.route)
            refuse_loop(environ, place.runtime.via)
            upstream_path = strip_prefix(raw_target(environ)[0], place.runtime.strip)
            note_route(environ, place.route, rule)
        except HTTPException:
            return None
        return place, upstream_path

    def _matched(self, path: str, method: str) -> tuple[EarlyPlace | None, str]:
        """What routing would say: the place, and the rule."""
        for place in self._alone:
            rule = place.rule_of(path)
            if rule and method in place.route.access:
                return place, rule
        found, _ = self._rules.match(path, method, return_rule=True)
        return (self._places or {}).get(found.endpoint), found.rule


def _plain(environ: dict[str, Any]) -> bool:
    """Whether a request has nothing about it that only the outlined request would show."""
    path: str = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or not path.isascii():
        return False
    if not path.isprintable():  # no rule matches a line break
        return False
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
        return False
    connection: str = environ.get("HTTP_CONNECTION", "")
    return not connection or connection.lower() in ("keep-alive", "close")


def answering_early(
    app: Flask, gateway: Gateway, admission: Admission, schemes: AcceptedSchemes
) -> EarlyAnswers | None:
    """What answers early, if a service has answers to use again."""
    if not any(early_of(one.handler) for one in gateway.runtimes.values()):
        return None
    return EarlyAnswers(app, gateway, admission, schemes)

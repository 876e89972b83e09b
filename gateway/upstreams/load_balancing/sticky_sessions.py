"""A client stays at its instance: for backends that keep sessions in memory."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from gateway.exchange import UNAVAILABLE, Headers, UpstreamRequest, UpstreamResponse
from gateway.upstreams.load_balancing.choice import (
    Answered,
    BalancedService,
    Chooser,
    LoadBalancing,
    Outgoing,
    balancing_faults,
)
from gateway.upstreams.load_balancing.cookies import TOKEN, cookie_value, without_cookie
from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
from gateway.upstreams.load_balancing.weights import Remembered
from gateway.upstreams.node import Node

_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class StickySessions:
    """Keeps a client at the instance that answered it first, by a cookie.

    cookie: its name; None: `gw_` and the service's. inner: how to choose for a client that has
    none. max_age: seconds from the moment it is set; None: until the browser closes. path: where
    the client sends it; None: the service's url_prefix. same_site: Strict, Lax or None. secure:
    whether it is for https alone; "auto": if the client came by https.

    The value is an HMAC, keyed with the setting SECRET_KEY, over service and instance: it cannot be
    guessed and shows no address. It is set when it changes: at first, and when another instance
    answered because that one is gone, left out, or was tried in vain. It is not set by answers
    that are for everybody (`Cache-Control` with `public` or `s-maxage`), since a shared cache would
    hand it to everybody, nor by 502, 503 and 504. The backend does not see it.

    ValueError for options that cannot work; no SECRET_KEY of 32 bytes is a fault at start.
    """

    cookie: str | None = None
    inner: LoadBalancing = field(default_factory=PowerOfTwo)
    max_age: int | None = None
    path: str | None = None
    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    secure: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        told = {
            "cookie must be a name": self.cookie is None or TOKEN.fullmatch(self.cookie),
            "inner must be another way of balancing": not isinstance(self.inner, StickySessions),
            "max_age must be above 0": self.max_age is None or self.max_age > 0,
            "path must begin with /": self.path is None or self.path.startswith("/"),
            "same_site must be Strict, Lax or None": self.same_site in ("Strict", "Lax", "None"),
            "secure must be True, False or 'auto'": self.secure in (True, False, "auto"),
            "same_site None needs secure": self.same_site != "None" or self.secure,
        }
        if wrong := [fault for fault, well in told.items() if not well]:
            raise ValueError(f"StickySessions: {', '.join(wrong)}")

    def faults(self, service: BalancedService) -> list[str]:
        """What is wrong with the options for this service."""
        found = balancing_faults(self.inner, service)
        if len(service.secret.encode()) < _SHORTEST_SECRET:
            found.append(f"it needs SECRET_KEY, {_SHORTEST_SECRET} bytes or more")
        if self.path is None and service.prefix is None:
            found.append("it needs a path: the service has no url_prefix")
        if not TOKEN.fullmatch(self._name(service)):
            found.append("it needs a cookie: the service's name cannot be one")
        return found

    def chooser(self, service: BalancedService) -> Chooser:
        """See LoadBalancing.chooser."""
        return _Pins(self._name(service), self._attributes(service), self, service)

    def _name(self, service: BalancedService) -> str:
        return self.cookie or f"gw_{service.name}"

    def _attributes(self, service: BalancedService) -> str:
        path = quote(self.path or service.prefix or "/", safe="/%:@!$&'()*+,=~")
        age = "" if self.max_age is None else f"; Max-Age={self.max_age}"
        return f"; Path={path}{age}; HttpOnly; SameSite={self.same_site}"


class _Pins:
    """Chooses by the cookie, and sets it. Remembers the values of instances, no client."""

    def __init__(
        self, cookie: str, attributes: str, options: StickySessions, service: BalancedService
    ) -> None:
        self._cookie = cookie
        self._attributes = attributes
        self._secure = options.secure
        self._service = service
        self._inner = options.inner.chooser(service)
        self._inner_outgoing: Outgoing | None = getattr(self._inner, "outgoing", None)
        self._inner_answered: Answered | None = getattr(self._inner, "answered", None)
        self._value = lru_cache(maxsize=1024)(self._signed)
        self._by_value = Remembered(self._values)

    def __call__(self, nodes: Sequence[Node], request: UpstreamRequest) -> Node:
        value = cookie_value(request.headers, self._cookie)
        node = self._by_value.of(nodes).get(value) if value else None
        return self._inner(nodes, request) if node is None else node

    def outgoing(self, request: UpstreamRequest) -> UpstreamRequest:
        """The request without our cookie."""
        if self._inner_outgoing is not None:
            request = self._inner_outgoing(request)
        headers = without_cookie(request.headers, self._cookie)
        return request if headers is request.headers else replace(request, headers=headers)

    def answered(self, request: UpstreamRequest, response: UpstreamResponse, node: Node) -> None:
        """Pin the client to the instance that answered, if it is not yet."""
        if self._inner_answered is not None:
            self._inner_answered(request, response, node)
        value = self._value(node.target.name)
        if (
            value == cookie_value(request.headers, self._cookie)
            or response.status in UNAVAILABLE
            or _for_everybody(response.headers)
        ):
            return
        secure = "; Secure" if self._is_secure(request) else ""
        response.headers.append(("Set-Cookie", f"{self._cookie}={value}{self._attributes}{secure}"))

    def _values(self, nodes: Sequence[Node]) -> dict[str, Node]:
        return {self._value(node.target.name): node for node in nodes}

    def _signed(self, target: str) -> str:
        data = f"sticky session\0{self._service.name}\0{target}".encode()
        digest = hmac.digest(self._service.secret.encode(), data, "sha256")
        return base64.urlsafe_b64encode(digest[:18]).decode()  # 24 characters, without padding

    def _is_secure(self, request: UpstreamRequest) -> bool:
        if self._secure != "auto":
            return self._secure
        # Written by the gateway itself, whatever the client said.
        return ("X-Forwarded-Proto", "https") in request.headers


def _for_everybody(headers: Headers) -> bool:
    for name, value in headers:
        if name.lower() == "cache-control":
            words = value.lower().split(",")
            if any(word.partition("=")[0].strip() in ("public", "s-maxage") for word in words):
                return True
    return False

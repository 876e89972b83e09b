"""A gateway whose views gather what a test wants, with backends that are functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, Response

from gateway import Frontend, Leg, Service, Timeouts, gather, public, require
from gateway.testing_stub import Answer, StubTransport
from tests.support.wsgi import Answer as Told
from tests.support.wsgi import call, make_app

JSON = {"Content-Type": "application/json"}
Part = Leg | list[Leg] | Callable[..., Any]


@dataclass
class House:
    """A gateway with services a, b and c, and a frontend whose view gathers what a test wants."""

    replies: dict[str, Any] = field(default_factory=dict)
    legs: int = 16
    leg_bytes: int = 2000
    total: float | None = None
    policies: list[Any] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.stub = StubTransport(self.backend)
        self.a, self.b, self.c = (self.service(name) for name in "abc")
        self.front = Frontend(
            "front",
            __name__,
            url_prefix="/front",
            uses=[self.a, self.b],
            legs=self.legs,
            leg_bytes=self.leg_bytes,
            timeouts=Timeouts(total=self.total),
        )
        self.parts: Mapping[str, Any] = {}
        self.front.get("/x/<int:number>")(self.view)
        public(self.front)
        self.raised: list[Exception] = []

    def service(self, name: str) -> Service:
        made = Service(
            name,
            __name__,
            url_prefix=f"/{name}",
            upstream=f"http://{name}.internal",
            session=self.stub.session(),
            policies=self.policies,
        )
        return require("read")(made) if self.closed else public(made)

    def backend(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        path = url.removeprefix("http://").partition(".internal")[2]
        reply = self.replies.get(path, {"path": path})
        if callable(reply):
            reply = reply()
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, tuple):
            return reply
        data = orjson.dumps(reply)
        return 200, {**JSON, "Content-Length": str(len(data))}, data

    def view(self, number: int) -> Response:
        try:
            return gather(**self.parts).respond()
        except (TypeError, ValueError) as error:
            self.raised.append(error)
            raise

    def app(self) -> Flask:
        return make_app(self.a, self.b, self.c, self.front)

    def ask(self, headers: Any = (), **parts: Any) -> Told:
        self.parts = parts
        return call(self.app(), "/front/x/1?own=1", headers=headers)

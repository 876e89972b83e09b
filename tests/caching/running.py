"""Running cases of a cache through a whole application, over one store after the other."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from gateway import Cache, Policy
from gateway.caching.handler import Cached
from gateway.testing_stub import Answer as Answered
from gateway.testing_stub import StubTransport
from tests.caching.script import At, Case, Origin, Step, Value
from tests.support.wsgi import Answer, call, make_app, open_service, token

#: Where the cases of one application live, and what is read of its cache in `Cache-Status`.
PREFIX, NAME = "/things", "edge"


class Clock:
    """Wall time that stands still unless it is moved; what is to be done beside a request waits
    until that is over."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._tasks: list[Callable[[], object]] = []

    def __call__(self) -> float:
        return self.now

    def start(self, task: Callable[[], object]) -> bool:
        """As `parallel.start`."""
        self._tasks.append(task)
        return True

    def catch_up(self) -> None:
        """Do what waits."""
        while self._tasks:
            self._tasks.pop(0)()


@contextlib.contextmanager
def stopped_clock() -> Iterator[Clock]:
    """The wall clock of all caches that are made inside."""
    clock = Clock(float(int(time.time())))
    defaults: Any = Cached.__init__.__kwdefaults__
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "wall", clock)
        patch.setitem(defaults, "start", clock.start)
        yield clock


@dataclass(slots=True)
class Backend:
    """Answers as the running case says; it knows each case by its path."""

    clock: Clock
    path: str = ""
    origin: Origin = field(default_factory=Origin)
    made: dict[str, int] = field(default_factory=dict)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], _body: bytes) -> Answered:
        case = re.sub(r"^https?://[^/]+", "", url)[len(PREFIX) + 1 :]
        case = re.split(r"[/?]", case)[0]
        number = self.made[case] = self.made.get(case, 0) + 1
        origin = self.origin
        self.clock.now += origin.took
        if origin.error is not None:
            raise origin.error
        body = b"answer %d" % number if origin.body is None else origin.body
        fields = [*self.written(origin.fields)]
        status = origin.status
        if origin.exact:
            status, body, more = _judged(fields, body, headers)
            fields += more
        length = len(body) if origin.announced is None else origin.announced
        if status not in (204, 304):
            fields.append(("Content-Length", str(length)))
        return status, fields, b"" if method == "HEAD" else body

    def written(self, fields: Mapping[str, Value]) -> list[tuple[str, str]]:
        """Fields as they are sent at this moment."""
        return [
            (name, self.text(one))
            for name, value in fields.items()
            for one in (value if isinstance(value, tuple) else (value,))
        ]

    def text(self, value: str | At) -> str:
        """A field's value at this moment."""
        if isinstance(value, At):
            return value.written(self.clock.now)
        slug = self.path.rpartition("/")[2]
        return value.replace("PATH", self.path).replace("SLUG", slug)


def _judged(
    fields: list[tuple[str, str]], body: bytes, asked: Mapping[str, str]
) -> tuple[int, bytes, list[tuple[str, str]]]:
    """What a backend does that knows conditions and ranges."""
    etag = dict(fields).get("ETag")
    if etag and asked.get("if-none-match") == etag:
        return 304, b"", []
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.get("range", ""))
    if found is None or asked.get("if-range") not in (None, etag):
        return 200, body, []
    begin, end = int(found[1]), min(int(found[2]), len(body) - 1)
    return 206, body[begin : end + 1], [("Content-Range", f"bytes {begin}-{end}/{len(body)}")]


@dataclass(slots=True)
class Place:
    """One application over one store, with its backend and its clock."""

    app: Flask
    stub: StubTransport
    backend: Backend
    clock: Clock

    def run(self, case: Case) -> None:
        """Do all steps of a case; a failure says which."""
        slug = re.sub(r"[^A-Za-z0-9]", "-", case.name)
        self.backend.path = f"{PREFIX}/{slug}"
        for number, step in enumerate(case.steps, 1):
            self._do(step, slug, f"{case.name}, step {number}: ")

    def _do(self, step: Step, slug: str, where: str) -> None:
        backend, before = self.backend, self.backend.made.get(slug, 0)
        self.clock.now += step.after
        if step.origin is not None:
            backend.origin = step.origin
        answer = self._ask(step)
        if step.broken:
            assert answer is None, where + "the transfer was not aborted"
            return
        assert answer is not None, where + "the transfer was aborted"
        asked = backend.made.get(slug, 0) - before
        self.clock.catch_up()
        beside = backend.made.get(slug, 0) - before - asked
        wrong = [*self._faults(step, answer)]
        if step.asked not in (None, asked):
            wrong.append(f"the backend was asked {asked} times")
        if beside != step.beside:
            wrong.append(f"the backend was asked {beside} times beside the request")
        if wrong:
            raise AssertionError(where + "; ".join(wrong) + f"\n{answer}")

    def _ask(self, step: Step) -> Answer | None:
        fields = [(name, self.backend.text(value)) for name, value in step.fields.items()]
        if step.user:
            fields.append(("Authorization", f"Bearer {_token(step.user)}"))
        target = self.backend.path + step.path
        try:
            return call(self.app, target, step.method, fields, step.content, **dict(step.environ))
        except ConnectionResetError:
            return None

    def _faults(self, step: Step, answer: Answer) -> list[str]:
        told = ",".join(answer.header("X-Cache"))
        found = []
        if told not in step.expect:
            found.append(f"X-Cache is {told!r} and not {sorted(step.expect)}")
        if answer.status != step.status:
            found.append(f"status is {answer.status} and not {step.status}")
        found += _body_faults(step, answer)
        if told in ("HIT", "STALE") or step.age is not None:
            age = answer.header("Age")
            if len(age) != 1 or (step.age is not None and age != [str(step.age)]):
                found.append(f"Age is {age} and not {step.age}")
        if told:
            found += _status_faults(step, answer)
        for name, value in step.has.items():
            fields = {} if value is None else {name: value}
            wanted = [text for _, text in self.backend.written(fields)]
            got = answer.header(name)
            if name == "Cache-Status":  # one list, on however many lines
                got = [", ".join(got)] if got else []
            if got != wanted:
                found.append(f"{name} is {got} and not {wanted}")
        for name, one in step.sent.items():
            sent = self.stub.requests[-1].headers.get(name)
            if sent != (None if one is None else self.backend.text(one)):
                found.append(f"the backend was sent {name} {sent!r} and not {one!r}")
        return found


def _body_faults(step: Step, answer: Answer) -> list[str]:
    wanted = step.body
    if wanted is None and step.made is not None and step.method != "HEAD":
        wanted = b"answer %d" % step.made
    found = []
    if wanted is not None and answer.body != wanted:
        found.append(f"body is {answer.body!r} and not {wanted!r}")
    length = answer.header("Content-Length")
    whole = step.method != "HEAD" and answer.status != 304
    if length and whole and length != [str(len(answer.body))]:
        found.append(f"Content-Length is {length} of {len(answer.body)}")
    return found


def _status_faults(step: Step, answer: Answer) -> list[str]:
    members = ", ".join(answer.header("Cache-Status")).split(", ")
    name, *parameters = members[-1].split("; ")
    told: dict[str, Any] = {}
    for parameter in parameters:
        key, mark, value = parameter.partition("=")
        told[key] = (int(value) if re.fullmatch(r"-?\d+", value) else value) if mark else True
    found = [] if name == NAME else [f"Cache-Status is {members}"]
    if ("hit" in told) == ("fwd" in told):
        found.append(f"Cache-Status has not one of hit and fwd: {members}")
    label = answer.header("X-Cache")[0]  # what is stale may be used at once, or after asking
    if label != "STALE" and ("hit" in told) != (label == "HIT"):
        found.append(f"Cache-Status is {members} for {answer.header('X-Cache')}")
    return found + [
        f"{key} in Cache-Status is {told.get(key)!r} and not {value!r}"
        for key, value in step.tells.items()
        if told.get(key) != value
    ]


_tokens: dict[str, str] = {}


def _token(user: str) -> str:
    if user not in _tokens:
        _tokens[user] = token(user)
    return _tokens[user]


@dataclass(slots=True)
class Places:
    """Applications by their options, each made once."""

    settings: Mapping[str, Any]
    clock: Clock
    made: dict[str, Place] = field(default_factory=dict)

    def of(self, case: Case) -> Place:
        """The application that this case needs."""
        key = repr((sorted(case.options.items(), key=str), case.inner))
        place = self.made.get(key)
        if place is None:
            place = self.made[key] = open_place(
                self.settings, self.clock, [Cache(**case.options), *case.inner]
            )
        return place


def open_place(settings: Mapping[str, Any], clock: Clock, policies: Sequence[Policy]) -> Place:
    """An application with these policies."""
    backend = Backend(clock)
    service, stub = open_service(prefix=PREFIX, backend=backend, policies=policies)
    return Place(make_app(service, VIA_PSEUDONYM=NAME, **settings), stub, backend, clock)

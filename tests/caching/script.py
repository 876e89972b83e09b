"""Cases of a cache as scripts: what is asked, what the backend would answer, what must come.

    Case("9111-4.2.1-max-age", miss(says("max-age=60")), hit(after=59, age=59), miss(after=1))

A step without a backend's answer keeps the last one. The backend marks each of its answers with a
number, from 1 in each case, so that `made=1` says whose body came. The clock is the case's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from gateway import CircuitBreaker
from gateway.errors import ConnectFailed, HeadTimeout, UpstreamError


@dataclass(frozen=True, slots=True)
class At:
    """A date, so many seconds after the moment at which it is written. form: of RFC 9110, 5.6.7."""

    seconds: float
    form: str = "imf"

    def written(self, now: float) -> str:
        """As a field value."""
        fixed = formatdate(now + self.seconds, usegmt=True)  # Sun, 06 Nov 1994 08:49:37 GMT
        if self.form == "imf":
            return fixed
        day, number, month, year, clock, _ = fixed.split()
        if self.form == "rfc850":
            full = {"Mon": "Mon", "Tue": "Tues", "Wed": "Wednes", "Thu": "Thurs", "Fri": "Fri"}
            full |= {"Sat": "Satur", "Sun": "Sun"}
            return f"{full[day[:3]]}day, {number}-{month}-{year[2:]} {clock} GMT"
        if self.form == "asctime":
            return f"{day[:3]} {month} {int(number):2d} {clock} {year}"
        return fixed.replace("GMT", self.form)


Value = str | At | tuple[str | At, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What the backend answers from now on.

    fields: as told; those with several values are repeated. body: None for the number of the
    answer. took: seconds by which the clock moves while it works. announced: the Content-Length,
    None for the right one. error: raised instead. exact: it judges conditions and ranges itself.
    """

    status: int = 200
    fields: Mapping[str, Value] = field(default_factory=dict)
    body: bytes | None = None
    took: float = 0.0
    announced: int | None = None
    error: UpstreamError | None = None
    exact: bool = False


def says(
    control: str | None = None,
    status: int = 200,
    *,
    body: bytes | None = None,
    took: float = 0.0,
    announced: int | None = None,
    exact: bool = False,
    **fields: Any,
) -> Origin:
    """An answer with this `Cache-Control` and these fields (`last_modified=At(-100)`)."""
    named: dict[str, Value] = {_spelled(name): value for name, value in fields.items()}
    if control is not None:
        named["Cache-Control"] = control
    return Origin(status, named, body, took, announced, exact=exact)


def unchanged(control: str | None = None, **fields: Any) -> Origin:
    """304 with these fields."""
    return says(control, 304, body=b"", **fields)


def fails(*, late: bool = False) -> Origin:
    """No answer."""
    return Origin(error=HeadTimeout() if late else ConnectFailed())


def _spelled(name: str) -> str:
    known = {"etag": "ETag", "cdn_cache_control": "CDN-Cache-Control"}
    return known.get(name) or name.replace("_", "-").title()


ANY = frozenset({"HIT", "STALE", "REVALIDATED", "MISS", "BYPASS", ""})
#: The backend was asked, and its own answer is the client's.
ASKED = frozenset({"MISS", "BYPASS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A request and what must come of it; None: whatever.

    expect: the values that `X-Cache` may have; "" for none. path: added to the case's own. user:
    whose token is sent. after: seconds that pass first. origin: what the backend says from now on.
    made: the number of the backend's answer whose body comes. asked: how often the backend is.
    beside: how often it is asked beside the request. sent: fields of the last request
    to it, None for absent. has: of the answer. tells: members of the last `Cache-Status`.
    """

    expect: frozenset[str]
    method: str = "GET"
    path: str = ""
    fields: Mapping[str, str | At] = field(default_factory=dict)
    environ: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""
    content: bytes = b""
    after: float = 0.0
    origin: Origin | None = None
    status: int = 200
    made: int | None = None
    body: bytes | None = None
    age: int | None = None
    asked: int | None = None
    beside: int = 0
    broken: bool = False
    sent: Mapping[str, str | At | None] = field(default_factory=dict)
    has: Mapping[str, Value | None] = field(default_factory=dict)
    tells: Mapping[str, Any] = field(default_factory=dict)


def hit(**rest: Any) -> Step:
    """From the cache, fresh, the backend unasked."""
    return Step(expect=frozenset({"HIT"}), asked=0, **rest)


def miss(origin: Origin | None = None, **rest: Any) -> Step:
    """The backend's own answer, since nothing that is kept would do."""
    return Step(expect=frozenset({"MISS"}), origin=origin, **{"asked": 1} | rest)


def asked(origin: Origin | None = None, **rest: Any) -> Step:
    """The backend's own answer, whatever the reason."""
    return Step(expect=ASKED, origin=origin, **{"asked": 1} | rest)


def bypass(origin: Origin | None = None, **rest: Any) -> Step:
    """The backend's own answer; the cache did not look."""
    return Step(expect=frozenset({"BYPASS"}), origin=origin, asked=1, **rest)


def renewed(origin: Origin | None = None, **rest: Any) -> Step:
    """From the cache, after the backend said that it is still good."""
    return Step(expect=frozenset({"REVALIDATED"}), origin=origin, asked=1, **rest)


def stale(origin: Origin | None = None, **rest: Any) -> Step:
    """From the cache, though it is not fresh any more."""
    return Step(expect=frozenset({"STALE"}), origin=origin, **rest)


def refused(status: int, origin: Origin | None = None, **rest: Any) -> Step:
    """An error of the gateway's own."""
    return Step(expect=frozenset({""}), origin=origin, status=status, **rest)


class Case:
    """A script with a name, for a service with these options of Cache.

    name: section and what it is about. breaker: whether there is a circuit breaker behind it.
    """

    def __init__(self, name: str, *steps: Step, breaker: bool = False, **options: Any) -> None:
        self.name = name
        self.steps = steps
        self.options = options
        self.inner = (CircuitBreaker(failures=1, recovery=300.0),) if breaker else ()

    def __repr__(self) -> str:
        return self.name

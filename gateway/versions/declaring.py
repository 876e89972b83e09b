"""What a blueprint says of the versions of its service."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from gateway.option_kinds import judged
from gateway.upstreams.load_balancing.cookies import TOKEN
from gateway.versions.labels import LABEL, normalised, slug
from gateway.versions.paths import is_prefix, path_faults, prefix_of
from gateway.versions.telling import moment

if TYPE_CHECKING:
    from gateway.exchange import Policy
    from gateway.service import Service
    from gateway.upstreams.discovery import Discovery

#: A point in time; see gateway.versions.telling.moment.
Moment = datetime | date | str

# What may stand between the angle brackets of a Link, and not break out of them.
_LINK = re.compile(r"(?:https?://[^\s/<>\"]+|/)[!-;=?-~]*")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a service; it has a circuit, a pool and kept answers of its own.

    label: its name: `v1`, `2`, `1.1`, `2024-01-15`, `beta`. Clients may write `2`, `v2` or `V2`; in
        the path it is as it is here.
    upstream: its address. discovery: what finds its instances. None for both: the environment
        variable `<NAME>_<LABEL>_URL`, such as USERS_V1_URL, and without it the service's own.
    prefix: what the backend gets in place of the client's prefix, `/v2/users`; None: the path as
        the client sent it, less what the service's strip_prefix takes away.
    policies: beside the service's, outermost first: inside of them, but outside of what repeats
        requests. One of a class that the service has, too, takes its place; a transform takes
        nobody's.
    deprecated, sunset: since when it should not be used any more, and when it ends: a datetime, a
        date (of UTC), or ISO 8601 text. Clients are told; None: nothing.
    after_sunset: "serve" as before, or "refuse" with 410. Only an operator should end a version.
    link: where clients read what to do about it: a URL, or a path of the gateway.
    """

    label: str
    _: KW_ONLY
    upstream: str | None = None
    discovery: Discovery | None = None
    prefix: str | None = None
    policies: Sequence[Policy] = ()
    deprecated: Moment | None = None
    sunset: Moment | None = None
    after_sunset: Literal["serve", "refuse"] = "serve"
    link: str | None = None

    @property
    def refused_from(self) -> float | None:
        """The wall time from which it is refused; None for never."""
        if self.sunset is None or self.after_sunset != "refuse":
            return None
        return moment(self.sunset).timestamp()

    def faults(self) -> list[str]:
        """What is wrong with the options."""
        return [f"version {self.label!r}: {fault}" for fault in self._faults()]

    def _faults(self) -> Iterator[str]:
        given: dict[str, Any] = {"upstream": self.upstream, "policies": self.policies}
        if not _is_label(self.label):
            yield "its label must be of letters, digits, '.', '-' and '_', 64 at most"
        if not isinstance(given["upstream"], str | None):
            yield "upstream must be an address"
        if self.discovery is not None and not callable(getattr(self.discovery, "begin", None)):
            yield "discovery must be a value with a method begin()"
        if self.upstream is not None and self.discovery is not None:
            yield "upstream and discovery both say where it is"
        if self.prefix is not None and not _is_prefix(self.prefix):
            yield f"prefix {self.prefix!r} must be an absolute path"
        if not isinstance(given["policies"], list | tuple):
            yield "policies must be a list"
        yield from self._wrong_ends()

    def _wrong_ends(self) -> Iterator[str]:
        """What is wrong with what is said of its end."""
        times = {"deprecated": self.deprecated, "sunset": self.sunset}
        wrong = {name for name, at in times.items() if at is not None and not _is_moment(at)}
        for name in sorted(wrong):
            yield f"{name}={times[name]!r} is no date, time or ISO 8601 text"
        if self.after_sunset not in ("serve", "refuse"):
            yield f"after_sunset={self.after_sunset!r} must be 'serve' or 'refuse'"
        if self.sunset is None and self.after_sunset == "refuse":
            yield "after_sunset needs a sunset"
        told = [moment(at) for at in times.values() if at is not None] if not wrong else []
        if told != sorted(told):
            yield "its sunset is before its deprecation"
        if self.link is not None:
            if not _is_link(self.link):
                yield f"link {self.link!r} must be a URL or an absolute path"
            if self.deprecated is None and self.sunset is None:
                yield "link is told with deprecated or sunset"


def _is_label(value: object) -> bool:
    return isinstance(value, str) and LABEL.fullmatch(value) is not None


def _is_link(value: object) -> bool:
    return isinstance(value, str) and _LINK.fullmatch(value) is not None


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and is_prefix(value.rstrip("/"))


def _is_moment(value: Moment) -> bool:
    try:
        moment(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


class Versions:
    """The versions of a service, and how a request names one: in the path, else in a header, else
    in `Accept`, else in the query, else it gets the default.

    versions: each a Version, in the order in which clients are told them.
    default: the label of the one for requests that name none, and for what other services send
        here. None: such a request is refused with 400 `version_missing`; others get the last one.
    path: where versions have paths, `/api/{version}/users`; the service's own prefix stays as it
        is, and may be one of them. None: nowhere.
    headers: request fields that may name one; the first that is there counts. Empty: none.
    media_type: whether `Accept` may: `application/vnd.acme.v2+json`, `application/json;version=2`
        or `;v=2`.
    query: the parameter that may. None: none.
    clock: the wall time, in seconds.

    A version that there is not is 404 `unknown_version`, one that has ended 410 `version_gone`;
    both say which are `supported`. Nothing is raised here: faults are told at start.
    """

    def __init__(
        self,
        *versions: Version,
        default: str | None = None,
        path: str | None = None,
        headers: Sequence[str] = ("API-Version", "Accept-Version"),
        media_type: bool = False,
        query: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.versions = versions
        self.default = default
        self.path = path
        self.headers = headers
        self.media_type = media_type
        self.query = query
        self.clock = clock

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(version.label for version in self.versions)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes that name a version; none where something is wrong with them."""
        if not isinstance(self.path, str) or judged(self._wrong_versions):
            return ()
        return tuple(prefix_of(self.path, label) for label in self.labels)

    def named(self, label: str) -> Version | None:
        """The version that a label means; None for none."""
        wanted = normalised(label)
        return next((one for one in self.versions if normalised(one.label) == wanted), None)

    def faults(self, service: Service) -> list[str]:
        """What is wrong with the declaration, for this service: all that follows from nothing else
        that is wrong."""
        found = judged(self._wrong_versions) + judged(self._wrong_choice)
        labels = [one.label for one in self.named_versions]
        wrong_path = judged(lambda: path_faults(self.path, service.url_prefix, labels))
        found += wrong_path
        strip = service.strip_prefix
        if isinstance(strip, str) and self.path is not None and not wrong_path:
            prefixes = [prefix_of(self.path, label) for label in labels]
            wrong = [one for one in prefixes if not f"{one}/".startswith(strip.rstrip("/") + "/")]
            found += [f"strip_prefix {strip!r} does not begin {prefix!r}" for prefix in wrong]
        return found

    @property
    def named_versions(self) -> tuple[Version, ...]:
        """Those that are a Version with a label."""
        right = (one for one in self.versions if isinstance(one, Version))
        return tuple(one for one in right if _is_label(one.label))

    def _wrong_versions(self) -> list[str]:
        if not self.versions:
            return ["versions has no Version"]
        found = [f"{one!r} is no Version" for one in self.versions if not isinstance(one, Version)]
        found += [
            fault for one in self.versions if isinstance(one, Version) for fault in one.faults()
        ]
        names = [slug(normalised(one.label)) for one in self.named_versions]
        twice = sorted({name for name in names if names.count(name) > 1})
        return found + [f"two versions are called {name!r}" for name in twice]

    def _wrong_choice(self) -> list[str]:
        found = []
        default: Any = self.default
        if not isinstance(default, str | None):
            found.append(f"default={default!r} must be a label")
        elif default is not None and self._lacks(default):
            found.append(f"default {default!r} is none of {', '.join(self.labels)}")
        if not _are_fields(self.headers):
            found.append(f"headers={self.headers!r} must be a list of field names")
        if self.query is not None and not (isinstance(self.query, str) and self.query):
            found.append(f"query={self.query!r} must be the name of a parameter")
        if self.path is None and not self.headers and not self.media_type and self.query is None:
            found.append("versions are named nowhere: by no path, header, media type or query")
        return found

    def _lacks(self, label: str) -> bool:
        """Whether no version has this label, as far as the versions have right ones."""
        known = self.named_versions
        return bool(known) and len(known) == len(self.versions) and self.named(label) is None


def _are_fields(value: object) -> bool:
    if not isinstance(value, Collection) or isinstance(value, str):
        return False
    return all(isinstance(one, str) and TOKEN.fullmatch(one) for one in value)

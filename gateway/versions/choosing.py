"""Which version a request is for, settled once and before its views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from flask import Response, current_app, request

from gateway.errors import Refusal
from gateway.headers import environ_name
from gateway.versions.accepting import accepted_version
from gateway.versions.labels import normalised
from gateway.versions.paths import UNKNOWN
from gateway.versions.telling import Fields, Notice, varying

if TYPE_CHECKING:
    from gateway.service import Runtime, Service
    from gateway.versions.declaring import Version, Versions


@dataclass(frozen=True, slots=True)
class Chosen:
    """A version in one of the ways to ask for it. ends: the wall time from which it is refused;
    None for never."""

    label: str
    runtime: Runtime
    notice: Notice
    ends: float | None


class Choice:
    """The versions of one service, chosen by what a request says. It remembers no request.

    direct, by_path: their runtimes by label, below the service's own prefix and below theirs.
    labels: by rule, as paths.labels_by_rule makes them.
    """

    def __init__(
        self,
        service: str,
        versions: Versions,
        direct: Mapping[str, Runtime],
        by_path: Mapping[str, Runtime],
        labels: Mapping[str, str],
    ) -> None:
        self._service = service
        self._key = f"gateway.version.{service}"
        self._clock: Callable[[], float] = versions.clock
        self._headers = tuple(map(environ_name, versions.headers))
        self._media_type = versions.media_type
        self._query = versions.query
        vary = (*versions.headers, *(("Accept",) if versions.media_type else ()))
        self._vary = varying(vary)
        self._all = [_chosen(one, direct, vary) for one in versions.versions]
        self._by_name = {normalised(one.label): one for one in self._all}
        found = {one.label: _chosen(one, by_path, ()) for one in versions.versions}
        self._by_rule = {rule: found[label] for rule, label in labels.items()}
        self._unknown_endpoint = f"{service}.{UNKNOWN}"
        default = versions.default
        self._default = None if default is None else self._by_name[normalised(default)]

    @property
    def default(self) -> Runtime:
        """That of requests that no client names a version for: of other services, and of legs."""
        return (self._default or self._all[-1]).runtime

    @property
    def labels(self) -> tuple[str, ...]:
        """All that there are, in order."""
        return tuple(one.label for one in self._all)

    def named(self, label: str) -> Runtime:
        """That of a version. Raises ValueError for one that there is not."""
        found = self._by_name.get(normalised(label))
        if found is None:
            raise ValueError(f"service {self._service!r} has no version {label!r}")
        return found.runtime

    def of(self, environ: dict[str, Any]) -> Runtime:
        """That of the version which a request is for. Raises Refusal: 404 for one that there is
        not, 410 for one that has ended, 400 if it names none and there is no default."""
        chosen = environ.get(self._key)
        if chosen is None:  # the request is another service's
            chosen = self._by_request(environ)
            self._refuse_ended(chosen)
        runtime: Runtime = chosen.runtime
        return runtime

    def settle(self, environ: dict[str, Any]) -> None:
        """Note the version that a request of this service is for. Raises as `of` does."""
        chosen = self._by_request(environ)
        environ[self._key] = chosen
        environ["gateway.exchange"].version = chosen.label
        self._refuse_ended(chosen)

    def tell(self, environ: dict[str, Any], response: Response) -> None:
        """Write the fields of the version that was settled, if it came to that."""
        chosen = environ.get(self._key)
        if chosen is not None:
            chosen.notice.tell(response.headers)

    def _by_request(self, environ: dict[str, Any]) -> Chosen:
        if environ["gateway.route"].endpoint == self._unknown_endpoint:
            raise self._unknown(())
        told = self._by_rule.get(environ["gateway.exchange"].route)
        if told is not None:
            return told
        name = self._named(environ)
        chosen = self._default if name is None else self._by_name.get(normalised(name))
        if chosen is not None:
            return chosen
        if name is not None:
            raise self._unknown(self._vary)
        detail = "The request names no version of this API."
        raise self._refused(detail, 400, "version_missing", self._vary)

    def _named(self, environ: dict[str, Any]) -> str | None:
        """The name that a request has in a header, in Accept, or in its query."""
        for name in self._headers:
            if value := environ.get(name, "").strip():
                told: str = value
                return told
        if self._media_type and (accept := environ.get("HTTP_ACCEPT")):
            accepted = accepted_version(accept, self._by_name)
            if accepted is not None:
                return accepted
        return None if self._query is None else _parameter(environ["QUERY_STRING"], self._query)

    def _refuse_ended(self, chosen: Chosen) -> None:
        if chosen.ends is not None and self._clock() >= chosen.ends:
            raise self._refused("This version of the API has ended.", 410, "version_gone", ())

    def _unknown(self, fields: Fields) -> Refusal:
        return self._refused(
            "There is no such version of this API.", 404, "unknown_version", fields
        )

    def _refused(self, detail: str, status: int, slug: str, fields: Fields) -> Refusal:
        now = self._clock()
        served = [one.label for one in self._all if one.ends is None or now < one.ends]
        members = {"supported": served}
        return Refusal(detail, status=status, slug=slug, headers=fields, members=members)


def _chosen(version: Version, runtimes: Mapping[str, Runtime], vary: tuple[str, ...]) -> Chosen:
    notice = Notice.of(version, vary)
    return Chosen(version.label, runtimes[version.label], notice, version.refused_from)


def _parameter(query: str, name: str) -> str | None:
    """The value of the first parameter of that name which has one."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if value and (key == name or unquote_plus(key) == name):
            return unquote_plus(value).strip() or None
    return None


def watch_versions(service: Service) -> None:
    """Have the version of each request settled before the service's own hooks and views, and told
    after them, whatever they answer."""

    def choice() -> Choice:
        found: Choice = current_app.extensions["gateway"].runtimes[service.name].versions
        return found

    def settle() -> None:
        choice().settle(request.environ)

    def tell(response: Response) -> Response:
        choice().tell(request.environ, response)
        return response

    service.before_request(settle)
    service.after_request(tell)

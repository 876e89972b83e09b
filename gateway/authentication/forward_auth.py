"""Forward authentication: the operator's own service is asked whether a request may pass.

What nginx calls `auth_request` and Traefik `forwardAuth`; see docs/forward_auth.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway import forwarded, headers
from gateway.authentication.scheme import Scheme
from gateway.transport.calls import Server

if TYPE_CHECKING:
    from gateway.authentication.schemes import SchemeContext

#: Seconds for which a decision may be kept at most.
LONGEST = 300.0
_TOKEN = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")  # no underscore: servers drop such names
_LISTS = ("returns", "sends", "cache_key")
#: Where clients put what proves who they are. A decision always depends on them.
CREDENTIALS = frozenset({"authorization", "cookie"})
#: Fields that make a GET conditional, or a part of one: the answer would not be the decision.
CONDITIONAL = frozenset(
    {
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    }
)
#: Fields that describe a body, which is not sent along.
OF_BODIES = frozenset(
    {
        "accept-encoding",
        "content-digest",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "digest",
        "repr-digest",
    }
)
#: What the question itself says of the request.
SAID = frozenset({"x-original-method", "x-original-uri", "x-forwarded-method", "x-forwarded-uri"})
#: What no client tells the authorisation service.
NEVER_SENT = (
    headers.NEVER_FORWARDED
    | forwarded.ALWAYS
    | forwarded.UNTRUSTED
    | CONDITIONAL
    | OF_BODIES
    | SAID
)
_NEVER_RETURNED = (
    headers.HOP_BY_HOP
    | headers.OVERRIDES
    | headers.WRITTEN
    | forwarded.ALWAYS
    | OF_BODIES
    | {"forwarded", "set-cookie", "www-authenticate"}
)


@dataclass(frozen=True, slots=True)
class ForwardAuth:
    """Asks an authorisation service about every request: `authentication=[ForwardAuth(url)]`.

    url: what is asked with a GET; it may have a query, but no user and password. returns: fields of
    its answer that backends are told, instead of the client's. subject, roles, permissions: those
    that say who asks, lists with commas; empty for none. sends: the client's fields that are sent;
    None for all that may be. timeout: seconds for an answer. connections: of one worker, at once.
    cache: seconds to keep a decision, at most 300, refusals at most 10; 0 keeps none. cache_key:
    fields on which a decision depends beside `Authorization`, `Cookie`, method, scheme, host, path
    and query; None for everything that is sent. fail_open: let requests pass without a name while
    the service fails; False: 503.
    """

    url: str = field(repr=False)
    _: KW_ONLY
    returns: Sequence[str] = ("X-User-ID", "X-User-Roles", "X-User-Permissions")
    subject: str = "X-User-ID"
    roles: str = "X-User-Roles"
    permissions: str = "X-User-Permissions"
    sends: Sequence[str] | None = None
    timeout: float = 1.0
    connections: int = 16
    cache: float = 0.0
    cache_key: Sequence[str] | None = None
    fail_open: bool = False

    def __post_init__(self) -> None:
        for name in _LISTS:
            if isinstance(getattr(self, name), list):  # equal options share one scheme: hashable
                object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def writes(self) -> frozenset[str]:
        """The fields that it alone may write, in lower case."""
        names = (*self.returns, self.subject, self.roles, self.permissions)
        return frozenset(name.lower() for name in names if name)

    @property
    def unsent(self) -> frozenset[str]:
        """The client's fields that are never sent, in lower case."""
        return NEVER_SENT | (self.writes - CREDENTIALS)

    def faults(self) -> list[str]:
        """See SituatedScheme.faults."""
        found = [*self._wrong_url(), *self._wrong_numbers()]
        wrong = [name for name in _LISTS if not _is_list(getattr(self, name), name != "returns")]
        found += [f"{name} must be a list of field names" for name in wrong]
        if not wrong:
            found += self._wrong_names()
        return [f"ForwardAuth: {fault}" for fault in found]

    def begin(self, context: SchemeContext, /) -> Scheme:
        """See SituatedScheme.begin."""
        from gateway.authentication.authorization_service import make_service  # only if used

        return make_service(self, context)

    def place(self) -> tuple[str, str]:
        """The address of the service, and the path with its query there."""
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + query

    def _wrong_url(self) -> list[str]:
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            # They would be sent for every client that has none, and let it pass.
            return ["url must not have a user or a password"]
        if re.search(r"[^!-~]|#", self.url):
            return ["url must be ASCII, without a fragment"]
        try:
            Server.parse(self.place()[0])
        except ValueError as error:
            return [f"url {error}"]
        return []

    def _wrong_numbers(self) -> list[str]:
        found = []
        if not 0 < self.timeout <= 60:
            found.append("timeout must be above 0 and at most 60 seconds")
        if isinstance(self.connections, bool) or not isinstance(self.connections, int):
            found.append("connections must be a whole number")
        elif not 1 <= self.connections <= 1000:
            found.append("connections must be from 1 to 1000")
        if not 0 <= self.cache <= LONGEST:
            found.append(f"cache must be from 0 to {LONGEST:g} seconds")
        fail_open: object = self.fail_open  # a word would be as good as True
        if not isinstance(fail_open, bool):
            found.append("fail_open must be True or False")
        return found

    def _wrong_names(self) -> list[str]:
        told = {*self.returns, *filter(None, (self.subject, self.roles, self.permissions))}
        asked = {*(self.sends or ()), *(self.cache_key or ())}
        found = [
            f"{name!r} is not the name of a field"
            for name in sorted(told | asked)
            if not _TOKEN.fullmatch(name)
        ]
        found += [f"{n} cannot be returned" for n in sorted(told) if n.lower() in _NEVER_RETURNED]
        found += [f"{n} cannot be sent" for n in sorted(asked) if n.lower() in self.unsent]
        if self.sends is not None:
            sent = {name.lower() for name in self.sends}
            extra = sorted(n for n in self.cache_key or () if n.lower() not in sent)
            found += [f"cache_key names {n}, which is not sent" for n in extra]
        return found


def _is_list(value: object, none: bool) -> bool:
    if value is None:
        return none
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)

"""One JSON line for every event that somebody who watches over the gateway wants to know.

time, event, request_id, client, method, path, route, service, user, and what the event adds:

    login_failed            scheme, reason: a credential was presented and refused; key: the id of
                            the API key that was tried, if there is such a key
    two_credentials         the request says twice who it comes from
    identity_forged         fields: those that only the gateway may write, sent by somebody else
    forbidden               missing, reason: what a known caller lacks
    authority_unavailable   scheme, reason: nobody can tell who this is, or what it may

left_out tells how many events of the kind were not written since the line before. Never in a line:
a credential, the query, or what a client wrote into a field.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from gateway.errors import AuthorityUnavailable, Refusal
from gateway.exchange import Exchange
from gateway.headers import IDENTITY, environ_name, named_in_connection
from gateway.observability.access_log import path_of, to_stdout, write_line
from settings import Settings

# What `Connection` says in almost all requests.
_USUAL = frozenset({"keep-alive", "close", "Keep-Alive", "Close", ""})


class SecurityLog:
    """Writes lines with `write`, one call each.

    most: lines of one kind of event in a second, by this worker; 0 for any number. clock gives
    seconds since the epoch.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] | None = None,
        *,
        most: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write or to_stdout
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._budgets: dict[str, _Budget] = {}
        self.watch()

    def watch(self, written: Iterable[str] = (), proxied: Iterable[str] = ()) -> None:
        """Settle which names are not for clients, in lower case. written: those that only the
        gateway may write, beside the usual ones. proxied: those that only trusted proxies may."""
        self._proxied = {environ_name(name): name for name in proxied}
        told = IDENTITY.union(written, self._proxied.values())
        self._names = {environ_name(name): name for name in told}
        self._keys = frozenset(self._names)
        self._own = frozenset(self._names.values()).difference(self._proxied.values())

    def inspect(self, environ: dict[str, Any]) -> None:
        """Note what a client sent under a name that is not its to write. Backends never get it."""
        connection = environ.get("HTTP_CONNECTION", "")
        if environ.keys().isdisjoint(self._keys) and connection in _USUAL:
            return
        found = {name for key, name in self._names.items() if key in environ}
        if environ["gateway.edge"].trusted:
            found.difference_update(self._proxied.values())
        found |= self._own & named_in_connection([connection])
        if found:
            self.note("identity_forged", environ, fields=sorted(found))

    def refused(self, environ: dict[str, Any], refusal: Refusal) -> None:
        """Note why a request is refused, if that is an event."""
        slug = refusal.slug
        if isinstance(refusal, AuthorityUnavailable):
            reason = str(refusal.__cause__ or "")
            self.note("authority_unavailable", environ, scheme=refusal.scheme, reason=reason)
        elif slug == "two_credentials":
            self.note("two_credentials", environ)
        elif refusal.code == 403 and slug != "cross_site":
            missing = getattr(refusal, "unmet", "")
            self.note("forbidden", environ, missing=missing, reason=slug)
        elif not slug.startswith("missing_"):
            tried = {"key": refusal.key} if refusal.key else {}
            self.note("login_failed", environ, scheme=refusal.scheme, reason=slug, **tried)

    def note(self, event: str, environ: dict[str, Any], **members: Any) -> None:
        """Write a line, or count it as left out. Never raises."""
        now = self._clock()
        with self._lock:
            budget = self._budgets.setdefault(event, _Budget())
            if not budget.spend(int(now), self._most):
                return
            left_out, budget.left_out = budget.left_out, 0
        exchange: Exchange = environ["gateway.exchange"]
        line = {
            "time": round(now, 3),
            "event": event,
            "request_id": exchange.request_id,
            "client": exchange.client,
            "method": environ["REQUEST_METHOD"],
            "path": path_of(environ),
            "route": exchange.route,
            "service": exchange.service,
            "user": exchange.user,
            **members,
            "left_out": left_out,
        }
        write_line(self._write, line, "security log")


class _Budget:
    """How many lines of one kind were written in the present second, and left out since."""

    __slots__ = ("left_out", "second", "written")

    def __init__(self) -> None:
        self.second = 0
        self.written = 0
        self.left_out = 0

    def spend(self, second: int, most: int) -> bool:
        """Take a line's place, if there is one; otherwise count it as left out."""
        if second != self.second:
            self.second, self.written = second, 0
        if most and self.written >= most:
            self.left_out += 1
            return False
        self.written += 1
        return True


def open_security_log(settings: Settings) -> SecurityLog | None:
    """The log that the settings ask for; None for none."""
    return SecurityLog(most=settings.SECURITY_LOG_RATE) if settings.SECURITY_LOG else None

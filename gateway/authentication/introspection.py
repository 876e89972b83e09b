"""Tokens that only their authorisation server can tell about: it is asked, and the verdict kept."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import cachetools

from gateway.authentication.decisions import Decisions, NoDecision
from gateway.authentication.identity import Identity
from gateway.authentication.introspection_answer import AnswerRules, Denied
from gateway.authentication.introspection_endpoint import IntrospectionEndpoint
from gateway.authentication.tokens import MAX_TOKEN
from gateway.errors import AuthorityUnavailable
from gateway.urls import Origin
from settings import Settings

#: Seconds for which a refused token is remembered, and one about which nobody could say anything.
REFUSED = 10.0
UNKNOWN = 1.0
#: How many of both together.
_MOST_REFUSED = 5000
# Stands among the refused tokens for what is none.
_NOBODY_KNOWS = Denied()
_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))


class IntrospectionAuthority:
    """The authority `introspection`: it judges every token that none before it took.

    ask: see IntrospectionEndpoint.ask. seconds: how long a verdict is kept at most, and never past
    the token's `exp`; 0: no verdict is. keep: how many of accepted tokens; 0: none. waiting: how
    many requests may wait for verdicts at once. patience: seconds to wait for somebody else's
    question. clock gives seconds since the epoch, timer monotonic ones.

    Verdicts are this worker's own, under the SHA-256 of the token. A token about which a question
    is under way is not asked about again: all who want to know wait for the same answer.
    """

    name = "introspection"

    def __init__(
        self,
        ask: Callable[[str], Identity | Denied],
        *,
        seconds: float = 60.0,
        keep: int = 10_000,
        waiting: int = 64,
        patience: float = 3.0,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds if keep else 0.0
        self._clock = clock
        self._verdicts: Decisions[Identity | Denied] = Decisions(
            self._worth, max(keep, 1), patience, timer, waiting=waiting
        )
        # Apart from those: whoever guesses tokens must not drive out verdicts on good ones.
        self._lock = threading.Lock()
        self._refused: cachetools.TLRUCache[bytes, Denied] = cachetools.TLRUCache(
            _MOST_REFUSED, ttu=self._refused_until, timer=timer
        )

    def recognises(self, token: str, claims: Mapping[str, Any] | None) -> bool:
        """See TokenAuthority.recognises."""
        return True

    def verify(self, token: str) -> Identity:
        """The identity a token proves. Raises Unauthenticated, or AuthorityUnavailable when nobody
        can tell; that is never taken for a refusal."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verdict = self._verdicts.known(key) or self._settle(key, token)
        if isinstance(verdict, Denied):
            raise verdict.refusal()
        return verdict

    def _settle(self, key: bytes, token: str) -> Identity | Denied:
        if len(token) > MAX_TOKEN:
            return Denied("The token is too long.")
        if not _PRINTABLE.issuperset(token):  # RFC 6749 appendix A.12
            return Denied("The credential is malformed.")
        try:
            if (refused := self._refusal(key)) is not None:
                return refused
            return self._verdicts.settle(key, lambda: self._judged(key, token))
        except NoDecision as error:
            raise AuthorityUnavailable from error

    def _judged(self, key: bytes, token: str) -> Identity | Denied:
        # It may have been judged since it was looked for.
        if (refused := self._refusal(key)) is not None:
            return refused
        verdict: Identity | Denied = _NOBODY_KNOWS
        try:
            verdict = self._ask(token)
        finally:
            if not isinstance(verdict, Identity):
                with self._lock:
                    self._refused[key] = verdict
        return verdict

    def _refusal(self, key: bytes) -> Denied | None:
        """Why a token was refused lately. Raises NoDecision if nobody could say."""
        with self._lock:
            refused = self._refused.get(key)
        if refused is _NOBODY_KNOWS:
            raise NoDecision("nobody could say a moment ago", down=False)
        return refused

    def _worth(self, verdict: Identity | Denied) -> float:
        # Decisions keeps nothing for 0 seconds or less.
        if isinstance(verdict, Denied):
            return 0.0
        expires = verdict.claims.get("exp")
        if expires is None:
            return self._seconds
        return min(self._seconds, float(expires) - self._clock())

    def _refused_until(self, _key: bytes, verdict: Denied, now: float) -> float:
        return now + (UNKNOWN if verdict is _NOBODY_KNOWS else min(REFUSED, self._seconds))


def make_introspection(settings: Settings) -> IntrospectionAuthority:
    """The authority of these settings, which have no fault."""
    endpoint = IntrospectionEndpoint(
        settings.INTROSPECTION_URL,
        settings.INTROSPECTION_CLIENT_ID,
        settings.INTROSPECTION_CLIENT_SECRET,
        AnswerRules(
            settings.INTROSPECTION_ISSUER, settings.INTROSPECTION_AUDIENCE, settings.JWT_LEEWAY
        ),
        settings.INTROSPECTION_AUTH,
        seconds=settings.INTROSPECTION_TIMEOUT,
        connections=min(32, settings.worker_concurrency),
        ca_file=settings.UPSTREAM_CA_FILE,
    )
    return IntrospectionAuthority(
        endpoint.ask,
        seconds=settings.INTROSPECTION_CACHE_SECONDS,
        keep=settings.JWT_CACHE_SIZE,
        waiting=settings.worker_concurrency,
        patience=settings.INTROSPECTION_TIMEOUT + 1.0,
    )


def introspection_faults(settings: Settings) -> list[str]:
    """What is wrong with the settings of introspection; never a secret."""
    needed = ("INTROSPECTION_CLIENT_ID", "INTROSPECTION_CLIENT_SECRET")
    if not settings.INTROSPECTION_URL:
        return [f"{name} needs INTROSPECTION_URL" for name in needed if getattr(settings, name)]
    faults = [f"INTROSPECTION_URL needs {name}" for name in needed if not getattr(settings, name)]
    try:
        origin = Origin.parse(settings.INTROSPECTION_URL)
    except ValueError as error:
        return [*faults, f"INTROSPECTION_URL {error}"]
    safe = origin.scheme == "https" or origin.loopback
    if not safe and not settings.INTROSPECTION_PLAIN_HTTP:
        faults.append("INTROSPECTION_URL must be https: anybody in between could read the tokens")
    return faults

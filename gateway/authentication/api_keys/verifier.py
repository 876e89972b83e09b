"""From a key to an Identity, or to the reason why not."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from gateway.authentication.api_keys.key import digest_of, id_of
from gateway.authentication.api_keys.known import KnownKeys
from gateway.authentication.api_keys.record import KeyRecord
from gateway.authentication.identity import Identity
from gateway.database.usage import UsageLedger
from gateway.errors import Unauthenticated

_DAY = 86_400


class KeyVerifier:
    """Judges keys, and counts the requests of those that are good: for the day, and in all.

    What is no key by its form is refused without asking anybody. Otherwise an unknown id, a wrong
    secret and a key that does not count any more take the same steps. wall: seconds since the
    epoch, by which keys expire.
    """

    def __init__(
        self, known: KnownKeys, usage: UsageLedger, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._known = known
        self._usage = usage
        self._wall = wall
        self._day = (0, "")

    def verify(self, key: str, challenge: str) -> Identity:
        """Who the key proves. challenge: for `WWW-Authenticate`. Raises Unauthenticated, and
        AuthorityUnavailable when nobody can say."""
        now = self._wall()
        record = _judged(self._known.find, key, challenge, now)
        self._usage.add(record.counted, self._today(now))
        self._usage.add(record.counted)
        return record.identity

    def peek(self, key: str, challenge: str) -> Identity:
        """As `verify`, by what the database says now: nothing is counted or remembered."""
        return _judged(self._known.look, key, challenge, self._wall()).identity

    def _today(self, now: float) -> str:
        number = int(now // _DAY)
        known, text = self._day
        if known != number:
            text = day_of(now)
            self._day = number, text
        return text


def day_of(now: float) -> str:
    """The day of a time in UTC, such as 2026-11-21: the period of its usage."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def _judged(find: Callable[[str], KeyRecord], key: str, challenge: str, now: float) -> KeyRecord:
    """The record of a key that counts. Raises Unauthenticated, and what `find` raises."""
    key_id = id_of(key)
    if key_id is None:
        raise _refused(challenge)
    digest = digest_of(key)
    record = find(key_id)
    slug, detail = _verdict(record, digest, now)
    if slug:
        refusal = _refused(challenge, slug, detail)
        refusal.key = record.known_id
        raise refusal
    return record


def _verdict(record: KeyRecord, digest: bytes, now: float) -> tuple[str, str]:
    """Why a key does not count: a slug and words, empty if it does. Only who has the secret is
    told that there is a key."""
    fits = hmac.compare_digest(record.digest, digest)
    fitted = hmac.compare_digest(record.previous, digest)
    if not (fits or (fitted and now < record.previous_until)):
        return _INVALID
    if record.revoked:
        return "api_key_revoked", "The API key was revoked."
    if not record.active:
        return "api_key_suspended", "The API key is suspended."
    if now >= record.expires:
        return "api_key_expired", "The API key has expired."
    return "", ""


_INVALID = "api_key_invalid", "The API key is not valid."


def _refused(challenge: str, slug: str = _INVALID[0], detail: str = _INVALID[1]) -> Unauthenticated:
    return Unauthenticated(detail, slug=slug, challenges=(challenge,))

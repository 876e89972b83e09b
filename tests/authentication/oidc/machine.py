"""A machine's workers, and the issuer whose keys they fetch."""

from __future__ import annotations

from typing import Any

from gateway.authentication.oidc.entry import Entry
from gateway.authentication.oidc.keys import IssuerKeys
from gateway.errors import AuthorityUnavailable
from gateway.state import MemoryState
from tests.authentication.oidc.support import Clock, Document, jwk, keys_of

FIRST, SECOND, THIRD = jwk(), jwk("RS256", 1), jwk("RS256", 2)


class Machine:
    """Workers that share a state, and the issuer that they ask."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.clock = Clock(1000.0)
        self.state = MemoryState(self.clock)
        self.document = Document(*keys)
        self.gone = 0

    def worker(self, **options: Any) -> IssuerKeys:
        """A new worker."""
        return keys_of(self.document, self.state, self._gone, **options)

    def _gone(self) -> None:
        self.gone += 1

    @property
    def entry(self) -> Entry:
        """What is shared."""
        return Entry.read(self.state.get("oidc/test"))


def has(worker: IssuerKeys, number: int = 0) -> bool:
    """Whether a worker has a key for tokens of this kid."""
    return bool(worker.candidates(f"RS256-{number}", "RS256"))


def unavailable(worker: IssuerKeys, number: int = 0) -> bool:
    """Whether nobody can say at the moment."""
    try:
        has(worker, number)
    except AuthorityUnavailable:
        return True
    return False

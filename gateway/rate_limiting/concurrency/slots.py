"""Slots: what a request claims, what this worker holds, and the stores that count them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.rate_limiting.windows import OnFailure


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot of `key`, of which there are `limit`.

    dry: without room it is not counted, and refuses nothing. on_failure: see Limiter.concurrency.
    """

    key: str
    limit: int
    dry: bool = False
    on_failure: OnFailure = "local"


class SlotStore(Protocol):
    """Counts slots. What the worker holds is noted in its Held, which the store is made to agree
    with: a slot that was given back while the store failed is not lost."""

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """Take a slot for each claim, or none if one that is not dry has no room; decided in one
        indivisible step. token: the request's own. Returns the claims without room."""
        ...

    def free(self, keys: Sequence[str], token: str) -> None:
        """Give back what the worker's Held does not hold any more."""
        ...

    def taken(self, keys: Sequence[str]) -> list[int]:
        """How many slots of each key are held at the moment, by whomever."""
        ...

    def keep(self) -> bool:
        """Say what the worker holds, and forget the slots of workers that died; at each beat.
        Returns whether there was anything to do."""
        ...


class LocalStore(SlotStore, Protocol):
    """One that steps in for another."""

    def leave(self) -> None:
        """Forget what this worker holds here: the other store counts again."""
        ...


def refused(claims: Sequence[Claim], full: Iterable[int]) -> bool:
    """Whether a request is refused when these claims have no room."""
    return any(not claims[number].dry for number in full)


def granted(claims: Sequence[Claim], full: Sequence[int]) -> list[str]:
    """The keys of which a request gets a slot when these claims have no room."""
    if refused(claims, full):
        return []
    return [claim.key for number, claim in enumerate(claims) if number not in full]


class Held:
    """The slots that requests of this worker hold, by key: the truth that stores follow."""

    def __init__(self) -> None:
        self._tokens: dict[str, set[str]] = {}
        self._lock = threading.Lock()  # never held while waiting

    def count(self, key: str) -> int:
        """How many slots of a key are held here."""
        return len(self._tokens.get(key, ()))

    def admit(
        self, claims: Sequence[Claim], token: str, elsewhere: Sequence[int]
    ) -> tuple[int, ...]:
        """Hold the claims' slots, as SlotStore.take. elsewhere: slots that others hold of each."""
        with self._lock:
            full = tuple(
                number
                for number, (claim, others) in enumerate(zip(claims, elsewhere, strict=True))
                if self.count(claim.key) + others >= claim.limit
            )
            self._add(granted(claims, full), token)
        return full

    def add(self, keys: Iterable[str], token: str) -> None:
        """Hold a slot of each key."""
        with self._lock:
            self._add(keys, token)

    def _add(self, keys: Iterable[str], token: str) -> None:
        for key in keys:
            self._tokens.setdefault(key, set()).add(token)

    def remove(self, keys: Iterable[str], token: str) -> list[str]:
        """Hold them no more; returns the keys of those that were held."""
        removed = []
        with self._lock:
            for key in keys:
                tokens = self._tokens.get(key, set())
                if token in tokens:
                    tokens.remove(token)
                    removed.append(key)
                    if not tokens:
                        del self._tokens[key]
        return removed

    def everything(self) -> dict[str, list[str]]:
        """Who holds what: the tokens by key."""
        with self._lock:
            return {key: list(tokens) for key, tokens in self._tokens.items()}


class MemorySlots:
    """Slots of this worker alone: for one worker, for tests, and when every store is gone."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def take(self, claims: Sequence[Claim], token: str) -> tuple[int, ...]:
        """See SlotStore.take."""
        return self._held.admit(claims, token, [0] * len(claims))

    def free(self, keys: Sequence[str], token: str) -> None:
        """What is not held is free."""

    def taken(self, keys: Sequence[str]) -> list[int]:
        """See SlotStore.taken; of this worker."""
        return [self._held.count(key) for key in keys]

    def keep(self) -> bool:
        """Nobody else needs to know."""
        return False

    def leave(self) -> None:
        """What is held is known here all the same."""

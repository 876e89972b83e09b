"""Nobody learns from the time an answer takes which keys there are."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.authentication.api_keys.known import KnownKeys
from gateway.authentication.api_keys.queries import KeyQueries
from gateway.authentication.api_keys.verifier import KeyVerifier
from gateway.database.engine import Database
from gateway.database.schema import upgrade
from gateway.database.usage import UsageLedger
from gateway.errors import Unauthenticated
from tests.authentication.api_keys.support import keeping, made, secret_changed, unused_key


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[tuple[Callable[[str], None], Callable[[], None], list[str]]]:
    """Judges a key; forgets all; and three keys that are refused: unknown, wrong, revoked."""
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    good, revoked = made(url, scopes=["order:read"]), made(url)
    with keeping(url) as keeper:
        keeper.revoke(revoked[3:15])
    database = Database(url)
    known = KnownKeys(KeyQueries(database))
    verifier = KeyVerifier(known, UsageLedger(database))

    def refuse(key: str) -> None:
        with contextlib.suppress(Unauthenticated):
            verifier.verify(key, "ApiKey")
            raise AssertionError("a bad key was taken")

    yield refuse, lambda: known._learn(0, None), [unused_key(), secret_changed(good), revoked]
    known.close()
    database.close()


def medians(measure: Callable[[str], float], keys: list[str], rounds: int) -> list[float]:
    """How long each takes, in turn so that what disturbs one disturbs all."""
    found: list[list[float]] = [[] for _ in keys]
    gc.disable()
    try:
        for number in range(rounds):
            for place in range(len(keys)):
                which = (place + number) % len(keys)
                found[which].append(measure(keys[which]))
    finally:
        gc.enable()
    return [statistics.median(times) for times in found]


def timed(action: Callable[[str], None], key: str, times: int) -> float:
    """Seconds that an action takes, a few times over."""
    began = time.perf_counter()
    for _ in range(times):
        action(key)
    return time.perf_counter() - began


def alike(measure: Callable[[str], float], keys: list[str], rounds: int) -> bool:
    """Whether no key stands out. A busy machine may disturb one try, not each of five."""
    for _ in range(5):
        found = medians(measure, keys, rounds)
        if max(found) < 1.25 * min(found):
            return True
    return False


def test_keys_that_are_remembered(
    judge: tuple[Callable[[str], None], Callable[[], None], list[str]],
) -> None:
    refuse, _, keys = judge
    for key in keys:
        refuse(key)
    assert alike(lambda key: timed(refuse, key, 20), keys, 300)


def test_keys_that_are_asked_for(
    judge: tuple[Callable[[str], None], Callable[[], None], list[str]],
) -> None:
    refuse, forget, keys = judge

    def measure(key: str) -> float:
        forget()
        return timed(refuse, key, 1)

    assert alike(measure, keys, 300)


def test_a_difference_would_be_found(
    judge: tuple[Callable[[str], None], Callable[[], None], list[str]],
) -> None:
    refuse, _, keys = judge

    def slower(key: str) -> None:
        refuse(key)
        if key == keys[1]:
            refuse(key)

    assert not alike(lambda key: timed(slower, key, 20), keys, 100)

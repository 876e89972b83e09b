"""What is remembered of verified tokens: never for too long, never too much, by many threads."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from gateway.errors import Unauthenticated
from tests.authentication.support import claims, sign, verifier


class Clock:
    """A clock that a test turns. It starts at the real time, which PyJWT goes by."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


class Counted:
    """PyJWT's decode, counted by token: what was remembered is not decoded again."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._decode = jwt.decode

    def __call__(self, token: str, *args: Any, **options: Any) -> Any:
        self.calls[token] += 1
        return self._decode(token, *args, **options)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The count of decoded tokens."""
    counted = Counted()
    monkeypatch.setattr(jwt, "decode", counted)
    return counted


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that are switched as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_a_verified_token_is_remembered(counted: Counted) -> None:
    known, token = verifier(), sign(claims())
    assert known.verify(token) is known.verify(token)
    assert counted.calls[token] == 1


def test_for_five_minutes(counted: Counted) -> None:
    clock = Clock()
    start = clock.now
    known, token = verifier(clock=clock), sign(claims())
    for seconds, decoded in ((0, 1), (299.5, 1), (300, 2), (599.5, 2), (600, 3)):
        clock.now = start + seconds
        known.verify(token)
        assert counted.calls[token] == decoded


@pytest.mark.parametrize("leeway", [0, 30, 3600])
def test_never_past_exp_whatever_the_leeway(counted: Counted, leeway: int) -> None:
    clock = Clock()
    known = verifier(clock=clock, leeway=leeway)
    exp = clock.now + 100
    token = sign(claims(exp=int(exp)))
    known.verify(token)
    clock.now = exp - 0.001
    known.verify(token)
    assert counted.calls[token] == 1
    clock.now = exp
    for times in (2, 3, 4):
        known.verify(token)  # the real time has not come yet
        assert counted.calls[token] == times
        clock.now += 10


def test_within_the_leeway_a_token_is_verified_each_time(counted: Counted) -> None:
    known, token = verifier(leeway=30), sign(claims(exp=int(time.time()) - 5))
    for times in (1, 2, 3):
        known.verify(token)
        assert counted.calls[token] == times


def test_an_expired_token_is_refused_although_it_was_known() -> None:
    exp = int(time.time()) + 2
    known, token = verifier(leeway=0), sign(claims(exp=exp))
    known.verify(token)
    time.sleep(exp + 0.05 - time.time())
    with pytest.raises(Unauthenticated) as caught:
        known.verify(token)
    assert caught.value.slug == "token_expired"


def test_no_more_than_its_size_and_the_least_used_leaves_first(counted: Counted) -> None:
    known = verifier(cache_size=10)
    made = [sign(claims(sub=str(number))) for number in range(10)]
    for token in [*made, made[0], sign(claims(sub="one more"))]:
        known.verify(token)
    for token in made[2:]:
        known.verify(token)
    known.verify(made[0])
    assert set(counted.calls.values()) == {1}
    known.verify(made[1])
    assert counted.calls[made[1]] == 2


def test_what_is_refused_takes_no_room(counted: Counted) -> None:
    known, token = verifier(cache_size=1), sign(claims())
    known.verify(token)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            known.verify(sign(claims(sub=str(number), exp=1)))
    known.verify(token)
    assert counted.calls[token] == 1


def test_nothing_is_remembered_with_size_0(counted: Counted) -> None:
    known, token = verifier(cache_size=0), sign(claims())
    known.verify(token)
    known.verify(token)
    assert counted.calls[token] == 2


@pytest.mark.usefixtures("hurried")
def test_many_threads_get_their_own_identities_from_a_small_cache() -> None:
    clock = Clock()
    known = verifier(cache_size=8, clock=clock)
    made = {str(number): sign(claims(sub=str(number))) for number in range(24)}
    wrong: list[object] = []

    def ask(shift: int) -> None:
        names = list(made)[shift:] + list(made)[:shift]
        try:
            for turn in range(25):
                clock.now += turn % 3 * 100
                wrong.extend(n for n in names if known.verify(made[n]).subject != n)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(number * 3,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_verifiers_share_nothing(counted: Counted) -> None:
    token = sign(claims())
    first, second = verifier(), verifier()
    first.verify(token)
    second.verify(token)
    assert counted.calls[token] == 2

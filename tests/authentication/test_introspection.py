"""Verdicts on tokens: asked for once, kept for a while, bounded, and never guessed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.authentication.decisions import NoDecision
from gateway.authentication.identity import Identity
from gateway.authentication.introspection import IntrospectionAuthority
from gateway.authentication.introspection_answer import AnswerRules, Denied
from gateway.errors import AuthorityUnavailable, Unauthenticated
from tests.support.gunicorn import wait_for

START = 1_000_000.0


@dataclass
class Server:
    """A server that knows some tokens, and the clocks of the gateway that asks it."""

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False
    now: float = START
    before: Callable[[], object] = lambda: None

    def ask(self, token: str) -> Identity | Denied:
        """What it answers."""
        self.asked.append(token)
        self.before()
        if self.down:
            raise NoDecision("down", down=True)
        said = json.dumps(self.tokens.get(token, {"active": False})).encode()
        return AnswerRules(leeway=30).read(said, self.now)

    def clock(self) -> float:
        """Seconds since the epoch, or since something else: both move together."""
        return self.now

    def knows(self, token: str, **said: Any) -> None:
        """Tell it a token."""
        self.tokens[token] = {"active": True, "sub": f"owner of {token}", **said}


@pytest.fixture
def server() -> Server:
    """A server that knows the token `good`, which does not expire."""
    made = Server()
    made.knows("good")
    return made


def authority(server: Server, **options: Any) -> IntrospectionAuthority:
    """An authority that asks it."""
    clocks: dict[str, Any] = {"clock": server.clock, "timer": server.clock}
    return IntrospectionAuthority(server.ask, **{**clocks, **options})


def code(judge: IntrospectionAuthority, token: str) -> str:
    """How a token fares: `ok`, or the slug of the refusal."""
    try:
        judge.verify(token)
    except (Unauthenticated, AuthorityUnavailable) as refusal:
        return refusal.slug
    return "ok"


def test_it_takes_whatever_is_left() -> None:
    judge = authority(Server())
    assert judge.name == "introspection"
    assert judge.recognises("opaque", None)
    assert judge.recognises("a.b.c", {"iss": "whoever"})


def test_a_verdict_is_kept_for_a_minute(server: Server) -> None:
    judge = authority(server)
    first = judge.verify("good")
    assert first.subject == "owner of good"
    server.now += 59.9
    assert judge.verify("good") is first
    assert server.asked == ["good"]
    server.now += 0.2
    assert judge.verify("good") is not first
    assert server.asked == ["good", "good"]


def test_never_past_its_exp(server: Server) -> None:
    server.knows("brief", exp=START + 20)
    judge = authority(server)
    judge.verify("brief")
    server.now += 19
    judge.verify("brief")
    assert len(server.asked) == 1
    server.now += 1
    judge.verify("brief")  # inside the leeway, so the server has the last word each time
    judge.verify("brief")
    assert len(server.asked) == 3
    server.now += 30
    assert code(judge, "brief") == "token_expired"


def test_a_refused_token_is_remembered_for_ten_seconds(server: Server) -> None:
    judge = authority(server)
    assert [code(judge, "bad"), code(judge, "bad")] == ["token_invalid"] * 2
    server.now += 9.9
    assert code(judge, "bad") == "token_invalid"
    assert server.asked == ["bad"]
    server.knows("bad")
    server.now += 0.2
    assert code(judge, "bad") == "ok"


@pytest.mark.parametrize("options", [{"seconds": 0.0}, {"keep": 0}])
def test_nothing_kept(server: Server, options: dict[str, Any]) -> None:
    judge = authority(server, **options)
    for _ in range(2):
        assert code(judge, "good") == "ok"
        assert code(judge, "bad") == "token_invalid"
    assert server.asked == ["good", "bad"] * 2


def test_a_server_that_is_down_refuses_nobody(server: Server) -> None:
    judge = authority(server)
    judge.verify("good")
    server.knows("new")
    server.down = True
    assert code(judge, "new") == "authority_unavailable"
    assert code(judge, "good") == "ok"
    server.now += 61
    assert code(judge, "good") == "authority_unavailable"
    server.down = False
    server.now += 1.1
    assert [code(judge, "new"), code(judge, "good")] == ["ok", "ok"]


def test_why_nobody_can_say(server: Server) -> None:
    judge = authority(server)
    server.down = True
    for why in ("down", "nobody could say a moment ago"):
        with pytest.raises(AuthorityUnavailable) as raised:
            judge.verify("good")
        assert str(raised.value.__cause__) == why


def test_the_same_token_is_not_asked_about_again_at_once(server: Server) -> None:
    judge = authority(server)
    server.down = True
    assert [code(judge, "good") for _ in range(5)] == ["authority_unavailable"] * 5
    assert server.asked == ["good"]


def test_an_answer_that_makes_no_sense_refuses_nobody(server: Server) -> None:
    server.knows("odd", exp="tomorrow")
    judge = authority(server)
    assert code(judge, "odd") == "authority_unavailable"
    server.knows("odd")
    server.now += 1.1
    assert code(judge, "odd") == "ok"


def test_a_hundred_with_one_new_token_ask_once(server: Server) -> None:
    asked = threading.Event()
    server.before = lambda: asked.wait(10)
    judge = authority(server, waiting=100)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(judge.verify("good").subject))
        for _ in range(100)
    ]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: judge._verdicts._places.taken == 100)
    asked.set()
    for thread in threads:
        thread.join(10)
    assert found == ["owner of good"] * 100
    assert server.asked == ["good"]


def test_whoever_asks_for_all_may_fall(server: Server) -> None:
    """A thread that is ended while it asks leaves nobody waiting for good."""
    both = threading.Barrier(2)

    def fall() -> None:
        both.wait(10)
        assert wait_for(lambda: judge._verdicts._places.taken == 2)
        raise SystemExit

    server.before = fall
    judge = authority(server, patience=10.0)

    def first() -> None:
        with pytest.raises(SystemExit):
            judge.verify("good")

    thread = threading.Thread(target=first)
    thread.start()
    both.wait(10)
    assert code(judge, "good") == "authority_unavailable"
    thread.join(10)
    server.before = lambda: None
    server.now += 1.1
    assert code(judge, "good") == "ok"


def test_only_so_many_wait(server: Server) -> None:
    asked = threading.Event()
    server.before = lambda: asked.wait(10)
    judge = authority(server, waiting=2)
    threads = [threading.Thread(target=code, args=(judge, f"t{n}")) for n in range(2)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: len(server.asked) == 2)
    assert code(judge, "good") == "authority_unavailable"
    assert "good" not in server.asked
    asked.set()
    for thread in threads:
        thread.join(10)
    assert code(judge, "good") == "ok"


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        ("x" * 8193, "The token is too long."),
        ("a\nb", "The credential is malformed."),
        ("a\r\nX: y", "The credential is malformed."),
        ("a\x00", "The credential is malformed."),
        ("a\x7f", "The credential is malformed."),
        ("caf\u00e9", "The credential is malformed."),
        ("\ud800", "The credential is malformed."),
    ],
)
def test_what_no_token_can_be_is_not_asked_about(server: Server, token: str, detail: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authority(server).verify(token)
    assert caught.value.description == detail
    assert server.asked == []


def test_a_flood_of_guesses_is_bounded_and_drives_out_nothing(server: Server) -> None:
    judge = authority(server)
    judge.verify("good")
    for number in range(20_000):
        assert code(judge, f"guess{number}") == "token_invalid"
    assert len(judge._refused) == 5000
    assert judge._verdicts._asked == {}
    judge.verify("good")
    assert server.asked.count("good") == 1


def test_so_many_accepted_tokens_are_kept(server: Server) -> None:
    judge = authority(server, keep=3)
    for name in "abcd":
        server.knows(name)
        judge.verify(name)
    judge.verify("d")
    judge.verify("a")
    assert server.asked == ["a", "b", "c", "d", "a"]
    assert len(judge._verdicts._known) == 3


def test_no_token_is_kept_as_it_is(server: Server) -> None:
    judge = authority(server)
    code(judge, "good")
    code(judge, "a bad one".replace(" ", "-"))
    kept = [*judge._verdicts._known, *judge._refused]
    assert {len(key) for key in kept} == {32}
    assert not any(b"good" in key or b"bad" in key for key in kept)

"""The authority as a whole: which tokens it judges, what it remembers, and for how long."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway.authentication.oidc.authority import OidcAuthority
from gateway.authentication.oidc.entry import KEEP, REFRESH
from gateway.authentication.oidc.issuer import parse_issuer
from gateway.authentication.tokens import unverified_claims
from gateway.errors import AuthorityUnavailable, Unauthenticated
from gateway.state import MemoryState
from tests.authentication.oidc.support import (
    ENTRY,
    ISSUER,
    Clock,
    Document,
    authority,
    claims,
    jwk,
    keys_of,
    signed,
    token,
)


def refused(judge: OidcAuthority, presented: str) -> str:
    """Why a token proves nobody."""
    with pytest.raises(Unauthenticated) as caught:
        judge.verify(presented)
    return str(caught.value.description)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_of_every_kind_of_key(algorithm: str) -> None:
    assert authority().verify(token(algorithm)).subject == "u1"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512"])
def test_a_key_of_no_algorithm_serves_its_kind(algorithm: str) -> None:
    judge = authority(document=Document(jwk("RS256", alg=None, kid="k")))
    presented = signed({"kid": "k", "alg": algorithm}, claims(), algorithm)
    assert refused(judge, presented)  # it is another key
    keys = Document(jwk(algorithm, alg=None, kid="k"))
    assert authority(document=keys).verify(presented).subject == "u1"


def test_a_token_without_a_key_name() -> None:
    assert authority(document=Document(jwk())).verify(signed({}, claims())).subject == "u1"
    several = Document(jwk(), jwk("RS256", 1))
    assert refused(authority(document=several), signed({}, claims()))
    unnamed = Document(jwk("RS256", 1, kid=None), jwk(kid=None), jwk("RS256", 2))
    assert authority(document=unnamed).verify(signed({}, claims())).subject == "u1"


def test_two_keys_of_one_name() -> None:
    judge = authority(
        document=Document(jwk("RS256", 1, kid="k"), jwk(kid="k"), jwk("ES256", kid="k"))
    )
    for algorithm, number in (("RS256", 0), ("RS256", 1), ("ES256", 0)):
        assert judge.verify(signed({"kid": "k"}, claims(), algorithm, number)).subject == "u1"
    assert refused(judge, signed({"kid": "k"}, claims(), "RS256", 2))


def test_which_tokens_are_its_own_to_judge() -> None:
    judge = authority()

    def recognised(text: str) -> bool:
        return judge.recognises(text, unverified_claims(text))

    assert recognised(token())
    assert recognised(token() + "x")  # it will say that this is no good
    others: list[Any] = [f"{ISSUER}/", "other", None, 7, [ISSUER], {}]
    for issuer in others:
        assert not recognised(token(iss=issuer))
    for text in ("", "opaque", "a.b.c", token().rpartition(".")[0]):
        assert not recognised(text)


# -- what is remembered --------------------------------------------------------------------


class World:
    """An issuer, a machine of workers, and the time."""

    def __init__(self, *keys: dict[str, Any], leeway: float = 30) -> None:
        self.clock = Clock()
        self.state = MemoryState(self.clock)
        self.document = Document(*keys)
        self.leeway = leeway

    def worker(self, **options: Any) -> OidcAuthority:
        """A new one."""
        return authority(
            document=self.document,
            state=self.state,
            clock=self.clock,
            leeway=self.leeway,
            **options,
        )


@pytest.fixture
def world() -> World:
    """One whose issuer has two keys."""
    return World(jwk(), jwk("RS256", 1))


def test_a_verified_token_is_remembered_for_five_minutes(world: World) -> None:
    judge, presented = world.worker(), token()
    first = judge.verify(presented)
    world.clock.now += 299.5
    assert judge.verify(presented) is first
    world.clock.now += 0.5
    assert judge.verify(presented) is not first
    assert world.worker(cache_size=0).verify(presented) is not first


def test_never_past_its_exp(world: World) -> None:
    judge, presented = world.worker(), token(exp=int(world.clock.now) + 100)
    first = judge.verify(presented)
    world.clock.now += 99.5
    assert judge.verify(presented) is first
    world.clock.now += 0.5
    assert judge.verify(presented) is not judge.verify(presented)  # forgiven, not remembered
    world.clock.now += 30
    assert refused(judge, presented) == "The token has expired."


def test_no_more_than_its_size(world: World) -> None:
    judge = world.worker(cache_size=2)
    made = [token(sub=str(number)) for number in range(3)]
    found = [judge.verify(one) for one in made]
    assert judge.verify(made[2]) is found[2]
    assert judge.verify(made[0]) is not found[0]


def test_a_key_that_left_holds_no_longer_than_it_takes_to_notice(world: World) -> None:
    """The bound that the documentation names: a refresh and a beat, for remembered tokens too."""
    judges = [world.worker(), world.worker()]
    stays, leaves = token(), token("RS256", 1, exp=int(world.clock.now) + 90_000)
    for judge in judges:
        judge.verify(stays)
        judge.verify(leaves)
    world.document.keys = [jwk()]
    left = world.clock.now
    while world.clock.now < left + REFRESH:
        world.clock.now += 1
        judges[0].look()
    judges[1].look()
    for judge in judges:
        assert judge.verify(stays).subject == "u1"
        assert refused(judge, leaves) == "The token is not valid."


def test_without_an_answer_a_day_is_the_bound(world: World) -> None:
    judge = world.worker()
    presented = token(exp=int(world.clock.now) + 90_000)
    judge.verify(presented)
    world.document.keys = None
    world.clock.now += KEEP - 1
    assert judge.verify(presented).subject == "u1"
    world.clock.now += 1
    judge.look()
    with pytest.raises(AuthorityUnavailable):
        judge.verify(presented)


def test_what_is_verified_while_a_key_leaves_is_not_remembered(world: World) -> None:
    judge, presented = world.worker(), token()
    turn = judge._verified.turn
    identity = judge.verify(presented)
    judge._verified.forget()
    judge._verified.keep(presented, identity, turn)
    assert judge.verify(presented) is not identity


# -- several issuers -----------------------------------------------------------------------

OTHER = "https://other.test"


def test_a_key_of_one_issuer_does_not_sign_for_another() -> None:
    documents = {ISSUER: Document(jwk(kid="k")), OTHER: Document(jwk("RS256", 1, kid="k"))}
    issuers = [parse_issuer(ENTRY), parse_issuer(f"{OTHER};audience=api;name=b")]
    states = {url: MemoryState() for url in documents}
    judge = OidcAuthority(issuers, lambda one, _: keys_of(documents[one.url], states[one.url]))
    for url, number in ((ISSUER, 0), (OTHER, 1)):
        good, forged = (
            signed({"kid": "k"}, claims(iss=url), "RS256", which) for which in (number, 1 - number)
        )
        assert judge.verify(good).claims["iss"] == url
        assert refused(judge, forged) == "The token is not valid."


def test_subjects_of_several_issuers_are_told_apart() -> None:
    judge = authority(ENTRY, f"{OTHER};audience=api;name=acme", f"{OTHER}/2;audience=api;name=ac")
    assert judge.verify(token()).subject == "u1"
    assert judge.verify(token(iss=OTHER)).subject == "acme:u1"
    assert judge.verify(token(iss=f"{OTHER}/2", sub="me:u1")).subject == "ac:me:u1"
    for subject in ("acme:u1", "ac:", "acme:"):
        assert refused(judge, token(sub=subject)) == "The token's subject is not this issuer's."
    assert judge.verify(token(sub="acme")).subject == "acme"
    names = ["u1", "acme:u1", "ac:u1", "acme:acme:u1", "acme", "ac", ":u1"]
    told = []
    for url, subject in itertools.product((ISSUER, OTHER, f"{OTHER}/2"), names):
        try:
            told.append(judge.verify(token(iss=url, sub=subject)).subject)
        except Unauthenticated:
            continue
    assert len(told) == len(set(told)) == 3 * len(names) - 3

"""The chain: how policies are wrapped, and which orders are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from gateway import ConfigurationError, Handler, Policy, PolicyContext
from gateway.policy import chain, policy_faults
from tests.support.outline import answer, make_context, outline
from tests.support.wsgi import make_app, open_service


class Plain:
    """Says nothing about itself."""

    def __call__(self, following: Handler) -> Handler:
        return following


class Again(Plain):
    """Repeats."""

    repeats: ClassVar[bool] = True
    once: ClassVar[bool] = True


class Whole(Plain):
    """Works per request."""

    per: ClassVar[str] = "request"
    before: ClassVar[tuple[str, ...]] = ("Inner",)


class Each(Plain):
    """Works per attempt."""

    per: ClassVar[str] = "attempt"


class Inner(Plain):
    """What `Whole` has to be outside of."""


@dataclass(frozen=True)
class Faulty(Plain):
    """Knows that its option is wrong."""

    option: str = "x"

    def faults(self, context: PolicyContext) -> list[str]:
        return [f"{self.option} is nothing for {context.service}"]


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [Plain(), Plain()],
        [Whole(), Again(), Each(), Inner()],
        [Whole(), Inner()],
        [Each()],
        [Plain(), Again(), Plain()],
    ],
)
def test_orders_that_make_sense(policies: list[Policy]) -> None:
    assert policy_faults(policies, make_context()) == []


@pytest.mark.parametrize(
    ("policies", "fault"),
    [
        ([Again(), Again()], "Again is there twice"),
        ([Again(), Whole()], "Whole works per request and must come before Again"),
        ([Each(), Plain(), Again()], "Each works per attempt and must come after Again"),
        ([Inner(), Whole()], "Whole must come before Inner: behind it, it would see nothing to do"),
        ([Faulty()], "Faulty: x is nothing for things"),
    ],
)
def test_orders_that_do_not(policies: list[Policy], fault: str) -> None:
    assert policy_faults(policies, make_context()) == [fault]


def test_all_faults_are_told_at_start() -> None:
    service, _ = open_service(policies=[Again(), Whole(), Faulty()])
    with pytest.raises(ConfigurationError) as raised:
        make_app(service)
    first, second = raised.value.faults
    assert first.startswith("service 'things': Whole works per request")
    assert second.startswith("service 'things': Faulty: x is nothing")
    assert "wsgi.py:" in first


def test_a_policy_that_needs_more_gets_its_surroundings() -> None:
    seen: list[PolicyContext] = []

    class Curious:
        def __call__(self, following: Handler) -> Handler:
            raise AssertionError

        def wrap(self, following: Handler, context: PolicyContext) -> Handler:
            seen.append(context)
            return following

    context = make_context()
    assert chain([Curious()], lambda request: answer(), context)(outline()).status == 200
    assert seen == [context]


@dataclass(frozen=True)
class Named(Plain):
    """Has an option that is called as the method of others is."""

    wrap: str = ""


def test_an_option_may_have_the_name_of_a_method() -> None:
    handler = chain([Named("data"), Named()], lambda request: answer(204), make_context())
    assert handler(outline()).status == 204

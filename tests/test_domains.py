"""Domains: which services a gateway is for, who helps them, and what makes no sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

import blueprints
from gateway import (
    ConfigurationError,
    Fallback,
    Frontend,
    Mirror,
    Service,
    Split,
    Version,
    Versions,
    create_app,
    gather,
    public,
    require,
    with_policies,
)
from gateway.domains import Domains, choose
from gateway.filters import pre
from gateway.pulse import OFFICE
from gateway.testing import ScriptedUpstream
from tests.support.client import Reply, exchange
from tests.support.gunicorn import Gateway, start_gateway
from tests.support.messages import request_head
from tests.support.wsgi import bearer, call, make_settings, stubbed

ADMIN, COMMERCE, FRONTENDS = (("admin",), ("commerce",), ("frontends",))


def service(name: str, **options: Any) -> Service:
    """A service with paths."""
    return Service(name, __name__, **{"url_prefix": f"/{name}", **options})


products, users, audit = service("products"), service("users"), service("audit")
cart = service("cart", policies=[Mirror(to="shadow")])
shadow = service("shadow", url_prefix=None, policies=[Fallback(service="audit")])
shop = Frontend("shop", __name__, url_prefix="/shop", uses=[cart, products])
EVERYTHING = [users, cart, products, shadow, audit, shop]
DOMAINS: Domains = {"commerce": [products, cart], "admin": [users, audit], "frontends": [shop]}


def named(services: Sequence[Service]) -> list[str]:
    """Their names."""
    return [one.name for one in services]


def test_nothing_wanted_is_everything() -> None:
    for domains in ({}, DOMAINS):
        chosen, faults = choose(EVERYTHING, domains)
        assert faults == []
        assert list(chosen.services) == chosen.all == EVERYTHING
        assert (chosen.names, chosen.needed_by, list(chosen.others)) == ((), {}, [])


def test_a_domain_in_the_order_of_all_with_who_helps() -> None:
    chosen, faults = choose(EVERYTHING, DOMAINS, COMMERCE)
    assert (faults, chosen.names) == ([], COMMERCE)
    assert named(chosen.services) == ["cart", "products"]
    assert named(chosen.helpers) == ["shadow", "audit"]  # what a helper needs, too
    assert chosen.needed_by == {"shadow": "cart", "audit": "shadow"}
    assert named(chosen.others) == ["users", "shop"]
    assert chosen.of["products"] == ("commerce",)
    assert list(chosen.astray) == []


def test_several_domains_are_one_gateway() -> None:
    chosen, _ = choose(EVERYTHING, DOMAINS, ("commerce", "admin", "commerce"))
    assert named(chosen.services) == ["users", "cart", "products", "audit"]
    assert named(chosen.helpers) == ["shadow"]
    assert chosen.names == ("admin", "commerce")


def test_a_frontend_has_what_it_uses() -> None:
    chosen, _ = choose(EVERYTHING, DOMAINS, FRONTENDS)
    assert named(chosen.helpers) == ["cart", "products", "shadow", "audit"]
    assert named(choose([shop])[0].helpers) == ["cart", "products"]  # also if nobody lists them


def test_policies_of_versions_and_views_need_services_too() -> None:
    versions = Versions(
        Version("1", upstream="", policies=[Split(to="users", percent=5)]), default="1"
    )
    versioned = service("versioned", versions=versions)
    everything = [versioned, users, shadow, viewed]
    chosen, faults = choose(everything, {"v": [versioned], "w": [viewed]}, ("v",))
    assert faults == []
    assert set(named(chosen.helpers)) >= {"users"}
    chosen, _ = choose(everything, {"v": [versioned], "w": [viewed]}, ("w",))
    assert "shadow" in named(chosen.helpers)


viewed = service("viewed")


@viewed.get("/report")
@with_policies(Fallback(service="shadow"))
def report() -> Any:
    """A view with a policy of its own."""
    return viewed.forward()


def test_options_of_the_wrong_kind_are_told_of_elsewhere() -> None:
    odd = service("odd", policies=[Split(to=None), Mirror(to=7)])  # type: ignore[arg-type]
    chosen, faults = choose([odd, users])
    assert (named(chosen.services), list(chosen.helpers), faults) == (["odd", "users"], [], [])


def test_services_in_no_domain_are_noticed() -> None:
    chosen, faults = choose(EVERYTHING, {"commerce": [cart]})
    assert faults == []
    # One without paths is there for others.
    assert list(chosen.astray) == ["users", "products", "audit", "shop"]


stranger = service("stranger")


@pytest.mark.parametrize(
    ("domains", "wanted", "expected"),
    [
        ({}, COMMERCE, ["DOMAINS: there are none to choose from (DOMAINS in"]),
        (DOMAINS, ("media",), ["DOMAINS: there is no domain 'media'; there are commerce, admin,"]),
        ([cart], COMMERCE, ["DOMAINS of blueprints must be a dict"]),
        ({"media": []}, (), ["domain 'media' must be a list of services"]),
        ({"media": cart}, ("media",), ["domain 'media' must be a list of services"]),
        ({"media": ["cart"]}, (), ["domain 'media': 'cart' is no service"]),
        ({"media": [stranger]}, (), ["domain 'media': 'stranger' is not among SERVICES ("]),
        ({"a b": [cart], 7: [cart]}, (), ["domain 'a b' must be called", "domain 7 must be"]),
    ],
)
def test_what_makes_no_sense(domains: Any, wanted: tuple[str, ...], expected: list[str]) -> None:
    _, faults = choose(EVERYTHING, domains, wanted)
    assert len(faults) == len(expected)
    for fault, begin in zip(faults, expected, strict=True):
        assert fault.startswith(begin)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """`blueprints` with services whose backends are stubs: a shop, and what it needs."""
    one, sent = stubbed(name="products", prefix="/products")
    other, _ = stubbed(name="users", prefix="/users", filters=[noticed])
    third, _ = stubbed(name="carts", prefix="/carts", policies=[Fallback(service="products")])
    front = Frontend("front", __name__, url_prefix="/front", uses=[one])
    for each in (other, third, front):
        public(each)
    require("product:read")(one)
    found = [one, other, third, front]
    monkeypatch.setattr(blueprints, "SERVICES", found)
    domains = {"admin": [other], "commerce": [third], "frontends": [front], "all": found}
    monkeypatch.setattr(blueprints, "DOMAINS", domains)
    return {**{each.name: each for each in found}, "sent": sent}


@pre()
def noticed(_request: Any) -> None:
    """A filter of one service."""


def test_a_helper_has_a_runtime_and_no_paths(declared: Mapping[str, Any]) -> None:
    app = create_app(make_settings(DOMAINS=("commerce",)))
    gateway = app.extensions["gateway"]
    assert list(gateway.runtimes) == ["carts", "products"]
    assert call(app, "/carts/7").status == 200
    assert call(app, "/products/7").status == 404
    assert call(app, "/users/7").status == 404
    assert not [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/products")]


def test_who_may_not_ask_a_helper_gets_nothing_of_it_from_a_view(
    declared: Mapping[str, Any],
) -> None:
    front: Frontend = declared["front"]

    @front.get("/offer")
    def offer() -> Any:
        found = gather(product=declared["products"].fetch("/7", default="none"))
        return {"product": found["product"]}

    app = create_app(make_settings(DOMAINS=("frontends",)))
    assert call(app, "/front/offer").json == {"product": "none"}
    assert declared["sent"].requests == []
    call(app, "/front/offer", headers=[bearer("product:read")])
    assert [one.url for one in declared["sent"].requests] == ["http://products.internal/products/7"]


def test_filters_of_other_gateways_may_be_off(declared: Mapping[str, Any]) -> None:
    off = ("noticed",)
    app = create_app(make_settings(DOMAINS=("commerce",), FILTERS_OFF=off))
    assert app.extensions["gateway"].filters.switches.off == frozenset()
    app = create_app(make_settings(DOMAINS=("admin",), FILTERS_OFF=off))
    assert app.extensions["gateway"].filters.switches.off == set(off)


def test_gateways_that_share_a_state_have_each_their_elected_worker(
    declared: Mapping[str, Any],
) -> None:
    offices = [
        create_app(make_settings(DOMAINS=domains)).extensions["gateway"].pulse.office
        for domains in ((), ("admin",), ("commerce", "admin"), ("admin", "commerce"))
    ]
    assert offices == [OFFICE, f"{OFFICE}@admin", *[f"{OFFICE}@admin,commerce"] * 2]


def test_given_services_have_no_domains() -> None:
    with pytest.raises(ConfigurationError, match="DOMAINS: there are none to choose from"):
        create_app(make_settings(DOMAINS=("admin",)), services=[stubbed()[0]])


def test_every_service_of_the_repository_is_in_a_domain() -> None:
    domains: Any = blueprints.DOMAINS
    chosen, faults = choose(blueprints.SERVICES, domains)
    assert (faults, list(chosen.astray)) == ([], [])


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateways(
    backend: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gateway]]:
    """Two gateways of this repository, each with the addresses of its own services; they share
    what they share."""
    state = f"lmdb://{tmp_path_factory.mktemp('state')}"
    of: dict[str, Sequence[str]] = {
        "commerce": ("ORDERS_URL", "PRODUCTS_URL", "PAYMENTS_URL"),
        "admin": ("USERS_URL", "NOTIFICATIONS_URL"),
    }
    first, second = (
        start_gateway(
            "app:app",
            env={"DOMAINS": name, "STATE_URL": state, **dict.fromkeys(variables, backend.url)},
        )
        for name, variables in of.items()
    )
    with first as commerce, second as admin:
        yield [commerce, admin]


def ask(gateway: Gateway, path: bytes) -> Reply:
    """The answer to somebody who may everything."""
    line = ": ".join(bearer("user:*", "order:*", "product:*")).encode()
    return exchange(gateway.address, request_head(path, line))


def test_two_gateways_of_one_codebase(gateways: list[Gateway], backend: ScriptedUpstream) -> None:
    commerce, admin = gateways
    for gateway, own, others in (
        (commerce, (b"/api/v1/products/7", b"/api/v1/orders/7"), (b"/api/v1/users/7",)),
        (admin, (b"/api/v1/users/7",), (b"/api/v1/products/7", b"/api/v1/orders/7")),
    ):
        for path in own:
            assert ask(gateway, path).status == 200
            assert backend.requests[-1].target == path
        seen = len(backend.requests)
        for path in others:
            assert ask(gateway, path).status == 404
        assert len(backend.requests) == seen

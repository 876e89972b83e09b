"""Who is told of what: patterns, addresses, secrets, and every fault at once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.webhooks.subscriptions import Subscription, read_subscriptions
from tests.support.wsgi import make_settings
from tests.webhooks.receiver import OTHER, SECRET, webhooks


def read(url: str = "https://acme.example/hooks", **options: Any) -> Subscription:
    """The only subscription of a setting without faults."""
    said = webhooks(("acme", url), **options)
    found, faults = read_subscriptions(make_settings(WEBHOOKS=said), {"ACME": SECRET})
    assert faults == []
    return found["acme"]


def faults(said: dict[str, Any]) -> list[str]:
    return read_subscriptions(make_settings(WEBHOOKS=said), {})[1]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("order.shipped", {"order.shipped"}),
        ("order.*", {"order.shipped", "order.line.added"}),
        ("order", {"order"}),
        ("*", {"order", "order.shipped", "order.line.added", "orders.made"}),
    ],
)
def test_patterns(pattern: str, wanted: set[str]) -> None:
    one = read(events=[pattern])
    types = ("order", "order.shipped", "order.line.added", "orders.made")
    assert {kind for kind in types if one.wants(kind)} == wanted


@pytest.mark.parametrize(
    ("url", "where", "path"),
    [
        ("https://acme.example", "https://acme.example", ""),
        ("https://acme.example/", "https://acme.example", ""),
        ("https://acme.example:8443/a/b", "https://acme.example:8443", "/a/b"),
        ("https://acme.example/a/b/?t=1&u=/", "https://acme.example", "/a/b/?t=1&u=/"),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000", "/a"),
    ],
)
def test_addresses(url: str, where: str, path: str) -> None:
    one = read(url)
    assert one.where == where
    assert one.server.origin.base_path + one.target == path


def test_secrets_from_a_variable_and_two_of_them() -> None:
    assert read(secret="env:ACME").keys == read().keys
    assert len(read(secret=[OTHER, "env:ACME"]).keys) == 2


def test_nothing_secret_is_shown() -> None:
    one = read("https://acme.example/hunter2?token=hunter2", secret="env:ACME")
    said = repr(one) + repr(make_settings(WEBHOOKS=webhooks(("acme", "https://h/hunter2"))))
    assert "hunter2" not in said
    assert str(one.keys[0]) not in said
    assert SECRET not in said


def test_all_faults_are_told_at_once() -> None:
    said = webhooks(("acme", "http://acme.example/hunter2"), secret="whsec_hunter2")
    said |= webhooks(("b", "ftp://h/hunter2"), secret="env:NOWHERE")
    said |= webhooks(("c", "https://user:hunter2@h/"), ("d", "https://h/?a#hunter2"))
    told = faults(said)
    assert "hunter2" not in str(told)
    assert [fault.split(" ")[0] for fault in told] == [
        "WEBHOOKS.acme.url",
        "WEBHOOKS.acme.secret",
        "WEBHOOKS.b.url",
        "WEBHOOKS.b.secret",
        "WEBHOOKS.c.url",
        "WEBHOOKS.d.url",
    ]


def test_plain_http_to_another_machine_has_to_be_wanted() -> None:
    said = webhooks(("acme", "http://acme.example/hooks"))
    (fault,) = faults(said)
    assert fault.startswith("WEBHOOKS.acme.url must be https: ")
    said["acme"]["plain_http"] = True
    assert faults(said) == []


@pytest.mark.parametrize(
    "change",
    [
        {"events": []},
        {"events": ["order..x"]},
        {"events": ["*.shipped"]},
        {"events": "order.*"},
        {"secret": []},
        {"secret": [SECRET, SECRET, SECRET]},
        {"url": None},
        {"unknown": 1},
    ],
)
def test_a_wrong_form_is_a_fault_of_the_setting(change: dict[str, Any]) -> None:
    said = webhooks(("acme", "https://acme.example"))
    said["acme"] |= change
    with pytest.raises(ValueError, match="validation error"):
        make_settings(WEBHOOKS=said)


@pytest.mark.parametrize("name", ["", "a b", ".a", "ä"])
def test_names_of_partners(name: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        make_settings(WEBHOOKS=webhooks((name, "https://h")))

"""Which path template a path belongs to."""

from __future__ import annotations

import pytest

from gateway.transforms.validation.openapi_paths import PathFault, Paths

TEMPLATES = (
    *("/orders", "/orders/", "/orders/{id}", "/orders/mine", "/orders/{id}.pdf"),
    *("/orders/{id}/refunds", "/{kind}/new/refunds", "/a/{from}-{to}", "/caf%C3%A9/{x}", "/"),
)


def paths() -> Paths[list[str]]:
    made: Paths[list[str]] = Paths()
    for template in TEMPLATES:
        made.at(template, [template])
    return made


@pytest.mark.parametrize(
    ("path", "template", "values"),
    [
        ("/orders", "/orders", {}),
        ("/orders/", "/orders/", {}),
        ("/orders/7", "/orders/{id}", {"id": "7"}),
        ("/orders/a%2Cb", "/orders/{id}", {"id": "a%2Cb"}),
        ("/orders/mine", "/orders/mine", {}),
        ("/orders/%6Dine", "/orders/mine", {}),
        ("/orders/7.pdf", "/orders/{id}.pdf", {"id": "7"}),
        ("/orders/7%2Epdf", "/orders/{id}.pdf", {"id": "7"}),
        ("/orders/.pdf", "/orders/{id}", {"id": ".pdf"}),
        ("/orders/mine/refunds", "/orders/{id}/refunds", {"id": "mine"}),
        ("/orders/new/refunds", "/orders/{id}/refunds", {"id": "new"}),
        ("/users/new/refunds", "/{kind}/new/refunds", {"kind": "users"}),
        ("/a/1-2-3", "/a/{from}-{to}", {"from": "1", "to": "2-3"}),
        ("/a/%2C-%2F", "/a/{from}-{to}", {"from": "%2C", "to": "%2F"}),
        ("/café/1", "/caf%C3%A9/{x}", {"x": "1"}),
        ("/", "/", {}),
    ],
)
def test_a_path_finds_its_template(path: str, template: str, values: dict[str, str]) -> None:
    assert paths().find(path) == ([template], values)


@pytest.mark.parametrize(
    "path", ["/order", "/orders/7/", "/orders//refunds", "/orders/7/refunds/1", "/a/b", "/%FF", ""]
)
def test_a_path_that_has_none(path: str) -> None:
    assert paths().find(path) is None


def test_one_template_has_one_value() -> None:
    made = paths()
    assert made.at("/orders/{id}", ["other"]) == ["/orders/{id}"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("orders", "begin with a slash"),
        ("/orders/{number}", "only in the names of its variables"),
        ("/orders/{id", "braces"),
        ("/orders/{}", "no name"),
        ("/x/{a}/{a}", "twice"),
    ],
)
def test_templates_that_are_faults(template: str, told: str) -> None:
    with pytest.raises(PathFault, match=told):
        paths().at(template, [])

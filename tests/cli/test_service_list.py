"""`blueprints/__init__.py` in the layouts that people give it, and those that are left alone."""

from __future__ import annotations

import ast

import pytest

from gateway.cli.service_list import with_service

IMPORT = "from blueprints.m import m\n"


def listed(text: str) -> list[str]:
    """The names in SERVICES; the text must be Python."""
    (value,) = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List)
    ]
    return [element.id for element in value.elts if isinstance(element, ast.Name)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", "[m]"),
        ("[a]", "[a, m]"),
        ("[a, z]", "[a, z, m]"),
        ("[a,]", "[a, m,]"),
        ("[\n    a,\n]", "[\n    a,\n    m,\n]"),
        ("[\n    a,\n    z\n]", "[\n    a,\n    z,\n    m\n]"),
        ("[\n    a,  # first ]\n]", "[\n    a,  # first ]\n    m,\n]"),
        ("[\n    a  # first, ]\n]", "[\n    a,\n    m  # first, ]\n]"),
        ("[\n    a,\n    # z,\n]", "[\n    a,\n    m,\n    # z,\n]"),
        ("[  # ]\n]", "[m  # ]\n]"),
    ],
)
@pytest.mark.parametrize("name", ["SERVICES = ", "SERVICES: list[Service] = ", "SERVICES="])
def test_the_list(name: str, before: str, after: str) -> None:
    made = with_service(f'"""Ä."""\n\n{name}{before}  # all\n', "m")
    assert made == f'"""Ä."""\n\n{IMPORT}{name}{after}  # all\n'
    assert listed(made)[-1] == "m"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", IMPORT),
        ("from blueprints.a import a\n", f"from blueprints.a import a\n{IMPORT}"),
        ("from blueprints.z import z\n", f"{IMPORT}from blueprints.z import z\n"),
        (
            "from blueprints.a import (\n    a,\n)\nimport os\n",
            f"from blueprints.a import (\n    a,\n)\n{IMPORT}import os\n",
        ),
        (
            "from blueprints.a import a  # ä\nfrom blueprints.n import n\n",
            f"from blueprints.a import a  # ä\n{IMPORT}from blueprints.n import n\n",
        ),
    ],
)
def test_the_import(before: str, after: str) -> None:
    assert with_service(f"{before}SERVICES = []\n", "m") == f"{after}SERVICES = [m]\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services = []\n",
        "# SERVICES = []\n",
        '"""SERVICES = []"""\n',
        "SERVICES = ()\n",
        "SERVICES = (a, b)\n",
        "SERVICES = list((a, b))\n",
        "SERVICES = [a for a in every]\n",
        "SERVICES = [a] + more\n",
        "SERVICES: list[int]\n",
        "SERVICES = []\nSERVICES = [a]\n",
        "if True:\n    SERVICES = []\n",
        "def f():\n    SERVICES = []\n",
        "SERVICES += [a]\n",
        "SERVICES = [m]\n",
        "SERVICES = [\n    a,\n    m,\n]\n",
        "SERVICES = [\n",
        "x = 1; SERVICES = \\\n[a]\n",
        '"""Two lines.\n"""; SERVICES = [a]\n',
        "SERVICES: list[\n    int\n] = [a]\n",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        with_service(text, "m")


def test_elements_that_are_no_names_stay() -> None:
    made = with_service("SERVICES = [*shop, a[0], f(b, c),]  # ]\n", "m")
    assert made == f"{IMPORT}SERVICES = [*shop, a[0], f(b, c), m,]  # ]\n"

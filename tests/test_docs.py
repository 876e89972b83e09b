"""What is generated is up to date, and nothing public goes without a word."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.cli.settings import settings_table
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FIELDS = [pytest.param(field, id=name) for name, field in Settings.model_fields.items()]
UNITS = {
    float: ("second",),
    int: (
        "second",
        "byte",
        "port",
        "worker",
        "request",
        "connection",
        "header field",
        "token",
        "day",
    ),
}


def table_of(text: str) -> str:
    """The only table of settings in a text."""
    tables = re.findall(r"^\| Setting \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 1
    return str(tables[0])


def test_the_page_of_settings_holds_the_generated_table() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text.startswith("# Settings\n")
    assert table_of(text) == settings_table()


def test_the_readme_holds_the_same_table() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("<!-- settings -->") == text.count("<!-- /settings -->") == 1
    _, _, rest = text.partition("<!-- settings -->\n")
    assert rest.partition("<!-- /settings -->")[0].strip("\n") + "\n" == settings_table()
    assert table_of(text) == settings_table()


def test_the_table_has_a_row_for_every_setting() -> None:
    rows = [line.split(" | ") for line in settings_table().splitlines()[2:]]
    assert all(len(row) == 3 for row in rows[:-1])
    names = [row[0].strip("| `") for row in rows]
    assert names == [*Settings.model_fields, "<NAME>_URL"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_setting_is_described(field: Any) -> None:
    description = field.description or ""
    assert len(description) > 20
    assert description.endswith((".", "so on."))
    assert "|" not in description  # it would end the cell
    units = UNITS.get(field.annotation)
    if units is not None:
        assert any(unit in description.lower() for unit in units)


@pytest.mark.parametrize("name", sorted(gateway.__all__))
def test_a_public_name_has_a_docstring(name: str) -> None:
    value = getattr(gateway, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert vars(value).get("__doc__") or value.__doc__, name
        assert not (value.__doc__ or "").startswith(f"{name}(")  # a dataclass writes its own
    elif type(value).__module__.startswith("gateway"):
        assert type(value).__doc__
    else:
        assert_commented(name)


def assert_commented(name: str) -> None:
    """A plain value has a comment `#:` above its assignment, or above the lines it stands among."""
    found = 0
    for path in (ROOT / "gateway").rglob("*.py"):
        for match in re.finditer(rf"^{name}\b.* = .*$", path.read_text(), re.MULTILINE):
            above = path.read_text()[: match.start()].rstrip("\n").split("\n\n")[-1]
            assert any(line.startswith("#: ") for line in above.splitlines()), path
            found += 1
    assert found == 1


def test_every_public_name_can_be_had_and_no_other() -> None:
    assert gateway.__all__ == sorted(
        gateway.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n)
    )
    assert set(gateway._WHERE) == set(gateway.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = gateway.nothing

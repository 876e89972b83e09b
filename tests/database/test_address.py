"""What DATABASE_URL may say."""

from __future__ import annotations

import pytest

from gateway.database.address import parse_url
from gateway.database.engine import Database


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "sqlite:///gatehouse.db"),
        ("sqlite:///here.db", "sqlite:///here.db"),
        ("sqlite:////var/lib/there.db", "sqlite:////var/lib/there.db"),
        ("postgres://u:p@h/name", "postgresql+psycopg://u:p@h/name"),
        ("postgresql://u@h:6543/name", "postgresql+psycopg://u@h:6543/name"),
        ("postgresql+psycopg://h/name", "postgresql+psycopg://h/name"),
        ("postgres://h/name?sslmode=require", "postgresql+psycopg://h/name?sslmode=require"),
    ],
)
def test_what_is_understood(text: str, meant: str) -> None:
    assert parse_url(text).render_as_string(hide_password=False) == meant


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:secret@h/name",
        "postgresql+asyncpg://u:secret@h/name",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?secret=1",
        "sqlite://secret/a.db",
        "secret",
        "postgres://h:secret/name",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|a SQLite) ") as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


def test_no_password_is_shown() -> None:
    shown = repr(Database("postgres://u:secret@h/name"))
    assert "secret" not in shown
    assert "h/name" in shown

"""The tables: made by migrations, told apart by their number, and as the code expects them."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.database import DatabaseError, SchemaError
from gateway.database.address import parse_url
from gateway.database.engine import Database, make_engine
from gateway.database.schema import current, upgrade
from gateway.database.tables import SCHEMA, VERSION_TABLE, metadata


def set_version(url: str, version: str) -> None:
    """Have the database say that its tables are others."""
    engine = make_engine(parse_url(url))
    with engine.connect().execution_options(changes=True) as connection, connection.begin():
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'"))
    engine.dispose()


def test_made_once(empty_url: str) -> None:
    assert upgrade(empty_url) == (None, SCHEMA)
    assert current(empty_url) == SCHEMA
    assert upgrade(empty_url) == (SCHEMA, SCHEMA)


def test_by_several_at_once(empty_url: str) -> None:
    found: list[tuple[str | None, str]] = []
    together = threading.Barrier(4)

    def run() -> None:
        together.wait(10)
        found.append(upgrade(empty_url))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found, key=str) == [(SCHEMA, SCHEMA)] * 3 + [(None, SCHEMA)]


def test_the_code_names_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.database:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [SCHEMA]
    numbers = [script.revision for script in scripts.walk_revisions()]
    assert numbers == sorted(numbers, reverse=True)  # older and newer are told by comparing


def test_the_migrations_make_what_the_code_expects(database_url: str) -> None:
    engine = make_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_tables_of_others_are_left_alone(empty_url: str) -> None:
    engine = make_engine(parse_url(empty_url), create=True)
    with engine.connect().execution_options(changes=True) as connection, connection.begin():
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    assert upgrade(empty_url) == (None, SCHEMA)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).scalar() == "theirs"
    engine.dispose()


def test_a_failed_step_leaves_nothing_behind(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("alembic.op.bulk_insert", broken)
        with pytest.raises(DatabaseError, match="broken"):
            upgrade(empty_url)
    assert current(empty_url) is None
    assert upgrade(empty_url) == (None, SCHEMA)


def test_what_is_kept_outlasts_an_upgrade(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr("alembic.command.upgrade", lambda config, _: step(config, "0001"))
        upgrade(empty_url)
    assert current(empty_url) == "0001"
    engine = make_engine(parse_url(empty_url))
    with engine.connect().execution_options(changes=True) as connection, connection.begin():
        connection.execute(text("UPDATE gatehouse_key_revision SET number = 7"))
    assert upgrade(empty_url) == ("0001", SCHEMA)
    with engine.connect() as connection:
        query = text("SELECT number FROM gatehouse_key_revision")
        assert connection.execute(query).scalar_one() == 7
    engine.dispose()


@pytest.mark.parametrize(("version", "words"), [("0000", "older"), ("9999", "newer")])
def test_other_tables_are_not_used(
    database_url: str, version: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_version(database_url, version)
    now = 0.0
    database = Database(database_url, clock=lambda: now)
    for _ in range(3):
        with pytest.raises(SchemaError, match=words):
            database.check()
    assert database.status == f"tables {words}"
    assert [words in one.getMessage() for one in caplog.records] == [True]
    set_version(database_url, SCHEMA)
    with pytest.raises(SchemaError):
        database.check()  # it was looked at a moment ago
    now = 2.0
    database.check()
    assert database.status == "ready"
    assert caplog.records[-1].getMessage() == "the database can be used again"
    database.close()


def test_newer_tables_are_not_upgraded(database_url: str) -> None:
    set_version(database_url, "9999")
    with pytest.raises(SchemaError, match="newer"):
        upgrade(database_url)
    assert current(database_url) == "9999"


def test_without_tables(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(SchemaError, match=r"not there: run `flask gateway db upgrade`"):
        database.check()
    upgrade(empty_url)
    database.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    database = Database(f"sqlite:///{path}")
    with pytest.raises(SchemaError):
        database.check()
    assert not path.exists()  # only an upgrade makes it
    upgrade(f"sqlite:///{path}")
    with database.write() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        files = list(tmp_path.iterdir())
        assert len(files) == 3
        assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    database.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="No such file or directory"):
        upgrade(f"sqlite:///{tmp_path / 'nowhere' / 'records.db'}")

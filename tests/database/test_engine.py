"""One database for all threads of a process: transactions, failures, forks, and an end to waits."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.database import DatabaseError
from gateway.database.engine import Database
from gateway.database.schema import upgrade
from tests.support.postgresql import PostgresServer, needs_postgresql, start_postgresql

COUNT = text("SELECT number FROM gatehouse_key_revision")
ADD = text("UPDATE gatehouse_key_revision SET number = number + 1")


def number(database: Database) -> int:
    """A number that the tests add to."""
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


def test_a_block_is_kept_or_undone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(ADD)
    with pytest.raises(KeyError), database.write() as connection:
        connection.execute(ADD)
        raise KeyError
    assert number(database) == 1
    assert database.status == "ready"


def test_many_threads(database: Database) -> None:
    def add() -> None:
        for _ in range(20):
            with database.write() as connection:
                connection.execute(ADD)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert number(database) == 60


def test_a_child_opens_it_anew(database: Database) -> None:
    assert number(database) == 0
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with database.write() as connection:
                connection.execute(ADD)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert number(database) == 1  # over the connection from before


def test_what_is_logged_holds_no_values(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DatabaseError) as caught, database.read() as connection:
        connection.execute(text("SELECT :value FROM no_such_table"), {"value": "secret"})
    said = str(caught.value) + caplog.text
    assert "no_such_table" in said
    assert "secret" not in said
    assert "SELECT" not in said
    assert database.status == "unavailable"


def test_a_locked_file_is_waited_for_and_given_up(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    upgrade(url)
    holder, other = Database(url), Database(url)
    began = time.monotonic()
    with holder.write():
        assert number(other) == 0  # reading needs no lock
        with pytest.raises(DatabaseError, match="locked"), other.write():
            pass
    assert time.monotonic() - began > 1
    with other.write() as connection:
        connection.execute(ADD)
    for database in (holder, other):
        database.close()


def test_who_waits_for_a_connection_is_refused_in_time(database: Database) -> None:
    with database.read(), database.read(), database.read():
        with pytest.raises(DatabaseError), database.read():
            pass
    database.check()


@needs_postgresql
def test_a_server_that_goes_hangs_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    with start_postgresql() as server:
        url = server.new_database()
        upgrade(url)
        database = Database(url)
        database.check()
        server.stop()
        with pytest.raises(DatabaseError):
            database.check()
        assert database.status == "unavailable"
        server.start()
        database.check()
        server.hang()
        began = time.monotonic()
        with pytest.raises(DatabaseError):
            database.check()
        assert time.monotonic() - began < 15
        server.go_on()
        database.check()
        assert database.status == "ready"
        database.close()
    said = [one.getMessage() for one in caplog.records]
    assert [one.partition(":")[0] for one in said] == [
        "the database cannot be used",
        "the database can be used again",
    ] * 2


def test_a_statement_has_an_end(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    upgrade(url)
    database = Database(url)
    began = time.monotonic()
    with pytest.raises(DatabaseError, match="statement timeout"), database.read() as connection:
        connection.execute(text("SELECT pg_sleep(60)"))
    assert time.monotonic() - began < 30
    database.close()

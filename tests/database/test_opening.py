"""A gateway has a database only if something needs one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.database.opening import database_faults, open_records
from gateway.pulse import Pulse
from gateway.state import MemoryState
from tests.support.gunicorn import ROOT, SECRET
from tests.support.wsgi import make_app, make_settings, open_service

# What a gateway has loaded once it is made.
LOADED = """
import sys
from gateway import Service, create_app, public
service = Service("things", __name__, url_prefix="/things", upstream="http://h.test")
create_app(services=[public(service)])
print(*sorted({"sqlalchemy", "alembic", "psycopg", "sqlite3"} & set(sys.modules)))
"""


def loaded(folder: Path, **settings: str) -> list[str]:
    """The libraries of databases that a gateway with these settings loads at its start."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_nothing_is_loaded_for_nobody(tmp_path: Path) -> None:
    found = loaded(tmp_path, JWT_SECRET=SECRET, DATABASE_URL="postgres://u@127.0.0.1:1/n")
    assert found == []
    assert "sqlalchemy" in loaded(tmp_path, API_KEYS="true")


def test_making_a_gateway_opens_nothing(tmp_path: Path) -> None:
    loaded(tmp_path, API_KEYS="true")
    assert list(tmp_path.iterdir()) == []
    make_app(open_service()[0], API_KEYS=True, DATABASE_URL="postgres://u@127.0.0.1:1/n")


@pytest.mark.parametrize("setting", ["API_KEYS", "API_KEY_BASIC"])
def test_who_needs_it(setting: str) -> None:
    needing = make_settings(**{setting: True}, DATABASE_URL="sqlite:///a.db")
    records = open_records(needing, Pulse(MemoryState()))
    assert records is not None
    assert repr(records.database) == "Database('sqlite:///a.db')"
    assert records.database.status == "unknown"
    assert open_records(make_settings(), Pulse(MemoryState())) is None


def test_a_wrong_address_is_a_fault_where_it_is_needed() -> None:
    assert database_faults(make_settings(DATABASE_URL="x")) == []
    (fault,) = database_faults(make_settings(DATABASE_URL="x", API_KEYS=True))
    assert fault.startswith("DATABASE_URL: it is not a URL")


def test_the_end_comes_in_order(tmp_path: Path) -> None:
    needing = make_settings(API_KEYS=True, DATABASE_URL=f"sqlite:///{tmp_path / 'a.db'}")
    records = open_records(needing, Pulse(MemoryState()))
    assert records is not None
    ended: list[str] = []
    records.at_end(lambda: ended.append(records.database.status))
    records.close()
    assert ended == ["unknown"]

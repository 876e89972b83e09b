"""A real PostgreSQL for tests: Debian's, with a cluster of its own in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.support.gunicorn import free_port, suspend, wait_for


def _binaries() -> Path | None:
    """Debian keeps initdb out of PATH, one folder for each version."""
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if versions:
        return versions[-1].parent
    return Path(found).resolve().parent if found else None


BINARIES = _binaries()
needs_postgresql = pytest.mark.skipif(BINARIES is None, reason="there is no PostgreSQL here")


class PostgresServer:
    """One server that can be stopped, started again, and made to hang, on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = free_port()
        # It refuses to be root, so root lends it a user, who must own the cluster.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def make(self) -> None:
        """Make the cluster: nothing is synced, nobody is asked for a password."""
        self._run("initdb", "-D", "data", "-U", "tests", "-A", "trust", "-N", "-E", "UTF8")

    def start(self) -> None:
        """Start; returns when it answers."""
        assert BINARIES is not None
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
        }
        words = [word for pair in options.items() for word in ("-c", "=".join(pair))]
        self._process = subprocess.Popen(
            [BINARIES / "postgres", "-D", "data", *words],
            cwd=self._folder,
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert wait_for(self._answers, 30), "postgres does not answer"

    def _run(self, program: str, *words: str) -> None:
        assert BINARIES is not None
        subprocess.run(
            [BINARIES / program, *words],
            cwd=self._folder,
            user=self._user,
            check=True,
            capture_output=True,
            timeout=120,
        )

    def url_of(self, database: str) -> str:
        """The address of one of its databases, as platforms write it."""
        return f"postgres://tests@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.url_of("postgres")):
            return True
        return False

    def new_database(self) -> str:
        """The address of a database with nothing in it."""
        self._databases += 1
        name = f"d{self._databases}"
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def stop(self) -> None:
        """End it at once: its connections break, and whoever connects is refused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def _members(self) -> list[int]:
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *map(int, path.read_text().split())]

    def hang(self) -> None:
        """Keep its port and its connections, and answer nothing."""
        assert self._process is not None
        suspend(self._process)
        for pid in self._members()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End the hanging."""
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def start_postgresql() -> Iterator[PostgresServer]:
    """A running server, ended with the block."""
    with tempfile.TemporaryDirectory(prefix="gw-pg-") as folder:
        server = PostgresServer(Path(folder))
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()

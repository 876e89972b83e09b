"""PostgreSQL with an end to every wait, on the server's side and on ours."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

#: Seconds to connect to one address; libpq knows no less.
CONNECT = 2


def postgresql_engine(url: URL, *, patience: float, pool: dict[str, Any]) -> Engine:
    """An engine for a server. patience: seconds that one statement may take, locks included."""

    class Bounded(_Bounded):
        longest = patience + 0.5  # the server's own limit comes first, and keeps the connection

    engine = create_engine(
        url.update_query_dict({"connect_timeout": str(CONNECT)}),
        pool_pre_ping=True,
        hide_parameters=True,
        # A pooler between us and the server may not keep prepared statements.
        connect_args={"prepare_threshold": None},
        **pool,
    )

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        return Bounded.connect(*arguments, **options)

    @event.listens_for(engine, "connect")
    def bound(connection: Any, record: Any) -> None:
        connection.execute(f"SET statement_timeout = {int(patience * 1000)}")
        # One that stands still in the middle must not stop the others for good.
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(patience * 3000)}")
        connection.commit()

    return engine


class _Bounded(psycopg.Connection[Any]):
    """A connection that waits for a server that says nothing, for a time only."""

    longest = 2.5

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """See psycopg.Connection.wait."""
        try:
            return super().wait(gen, interval, self.longest if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()  # whatever comes yet would be taken for the next answer
            raise

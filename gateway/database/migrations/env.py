"""Called by Alembic for each run, with the connection that `schema.py` opened."""

from __future__ import annotations

from alembic import context

from gateway.database.tables import VERSION_TABLE, metadata

# All in the transaction that is open already, also in SQLite, where Alembic would not by itself.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

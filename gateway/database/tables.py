"""The tables as the code expects them; `migrations` makes them.

Times are whole seconds since the epoch, so that both databases keep them alike.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

#: The migration that makes these tables: the last one in `migrations/versions`.
SCHEMA = "0001"
#: Where the database keeps which migration it has.
VERSION_TABLE = "gatehouse_schema"

metadata = MetaData()

#: API keys. digest: SHA-256 of the whole key. previous_digest: that of the key before it was
#: rotated, valid until previous_until. revision: of the change that made the row as it is.
api_keys = Table(
    "gatehouse_api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("previous_digest", LargeBinary(32)),
    Column("previous_until", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("expires", BigInteger),
    Column("scopes", JSON, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("plan", Text, nullable=False),
    Column("overrides", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("rotated", BigInteger),
    Column("revoked", BigInteger),
    Column("revision", BigInteger, nullable=False),
)
Index("gatehouse_api_keys_revision", api_keys.c.revision)

#: One row: how often API keys were changed. Every change of a key adds one, in its transaction.
key_revision = Table(
    "gatehouse_key_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

#: What was used. period: a day, a month, or empty for ever. updated: when it was last added to.
usage = Table(
    "gatehouse_usage",
    metadata,
    Column("name", Text, primary_key=True),
    Column("period", String(16), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

#: The last batch of each worker that adds to `usage`: none is added twice.
usage_writers = Table(
    "gatehouse_usage_writers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

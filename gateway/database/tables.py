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
SCHEMA = "0002"
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

#: Events that partners are told of. id: said by who handed it in, or made here. body: what is sent,
#: byte for byte.
webhook_events = Table(
    "gatehouse_webhook_events",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)
Index("gatehouse_webhook_events_created", webhook_events.c.created)

#: One event on its way to one partner. state: pending, delivered or failed. tries: begun so far.
#: due: when a pending one is sent next; of one that is being sent, when it may be sent again if
#: nobody says how it went. status: the last answer's; None for no answer. reason: why not.
webhook_deliveries = Table(
    "gatehouse_webhook_deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("event", String(100), nullable=False),
    Column("partner", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("status", Integer),
    Column("reason", Text),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)
Index(
    "gatehouse_webhook_deliveries_due",
    webhook_deliveries.c.state,
    webhook_deliveries.c.partner,
    webhook_deliveries.c.due,
)
Index("gatehouse_webhook_deliveries_event", webhook_deliveries.c.event)
Index("gatehouse_webhook_deliveries_updated", webhook_deliveries.c.updated)

"""Webhooks: events, and their deliveries to partners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gatehouse_webhook_events",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_index("gatehouse_webhook_events_created", "gatehouse_webhook_events", ["created"])
    deliveries = "gatehouse_webhook_deliveries"
    op.create_table(
        deliveries,
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("event", sa.String(100), nullable=False),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    op.create_index(f"{deliveries}_due", deliveries, ["state", "partner", "due"])
    op.create_index(f"{deliveries}_event", deliveries, ["event"])
    op.create_index(f"{deliveries}_updated", deliveries, ["updated"])

"""The first tables: API keys, their revision, usage and who writes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gatehouse_api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("previous_digest", sa.LargeBinary(32)),
        sa.Column("previous_until", sa.BigInteger),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("overrides", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("rotated", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("gatehouse_api_keys_revision", "gatehouse_api_keys", ["revision"])
    numbers = op.create_table(
        "gatehouse_key_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(numbers, [{"id": 1, "number": 0}])
    op.create_table(
        "gatehouse_usage",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("period", sa.String(16), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "gatehouse_usage_writers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )

"""What must not be forgotten: API keys, what was used, webhooks; in SQLite or PostgreSQL.

Importing this loads no library; `engine`, `tables`, `schema` and `usage` need SQLAlchemy.
"""

from gateway.database.errors import DatabaseError, SchemaError

__all__ = ["DatabaseError", "SchemaError"]

"""Alembic's folder: what `flask gateway db upgrade` runs."""

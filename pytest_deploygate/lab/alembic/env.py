"""Alembic's entry for the lab's platform: runs the migrations on the connection that the lab gives."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("the lab runs these migrations; there is no database to run them on otherwise")
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, version_table_schema="platform", include_schemas=True)
        with context.begin_transaction():
            context.run_migrations()


run()

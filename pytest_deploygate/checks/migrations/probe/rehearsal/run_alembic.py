"""Run the pending Alembic migrations online; a program of its own: `run_alembic.py SCRIPTS URL VERSION_TABLE INI`.

The team's env.py is not run: it may take the database's address from elsewhere, and must not reach the live one. The
context is Alembic's own, so `op.get_bind()` and `context` work in the migrations.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def main(folder: str, url: str, table: str, ini: str) -> None:
    """Upgrade the database at `url` to the heads, in one transaction as Alembic does by default."""
    from alembic.config import Config  # noqa: PLC0415 (an extra)
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from sqlalchemy import create_engine, pool, text  # noqa: PLC0415

    from pytest_deploygate.checks.migrations.probe import alembic_scripts  # noqa: PLC0415
    from pytest_deploygate.fields.names import parts  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    scripts = alembic_scripts.directory(Path(folder), Path(ini) if ini else None)
    *schemas, name = parts(table)
    schema = schemas[0] if schemas else ""
    engine = create_engine(url, poolclass=pool.NullPool)

    def steps(revision: Any, context: Any) -> Any:
        found = scripts._upgrade_revs("heads", revision)  # noqa: SLF001 (what `alembic upgrade` calls)
        for step in found:
            step.migration_fn = _announced(step, context, text)
        return found

    with engine.connect() as connection, EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(
            connection=connection,
            version_table=name,
            version_table_schema=schema or None,
            target_metadata=None,
        )
        with environment.begin_transaction():
            environment.run_migrations()


def _announced(step: Any, context: Any, text: Any) -> Any:
    own = step.migration_fn
    name = step.revision.module.__file__.rpartition("/")[2]

    def run(**more: Any) -> None:
        context.bind.execute(text(f"SET deploygate.source = '{name}'"))
        own(**more)

    return run


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 (a migration is Python and may raise anything; its last words are the reason)
        sys.exit(f"{type(error).__name__}: {error}")

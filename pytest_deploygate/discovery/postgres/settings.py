"""What a server's own settings and extensions say: version, statistics, archive and backup tool, where the gate may write."""

import re
import shlex
from collections.abc import Mapping

from pytest_deploygate.discovery.postgres.asking import Server
from pytest_deploygate.discovery.postgres.dsn import is_loopback

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s)"
_NAMES = (
    *(
        "synchronous_standby_names",
        "synchronous_commit",
        "archive_mode",
        "archive_command",
        "archive_library",
    ),
    *("shared_preload_libraries", "log_min_duration_statement"),
)
_EXTENSIONS = "SELECT extname::text, extversion::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
_WRITES = (
    "SELECT nspname::text FROM pg_namespace WHERE nspname = %(name)s AND has_schema_privilege(oid, 'CREATE')"
)
_HIDDEN = "GRANT pg_read_all_settings TO {role}; (or pg_monitor)"
#: The schema that `deploygate grants` makes for the gate: who has it has agreed that the gate writes there.
OWN_SCHEMA = "deploygate"


def read(server: Server) -> dict[str, str]:
    """Return the settings that the role may see."""
    names = list(_NAMES)
    rows = server.rows("settings", _SETTINGS, _HIDDEN.format(role=server.role), {"names": names})
    return {str(name): str(value) for name, value in rows or ()}


def versions(server: Server, version: str, memory: str | None) -> dict[str, str]:
    """Note the server's version and extensions, and statistics of statements. Return the extensions with their versions."""
    rows = server.rows("extensions", _EXTENSIONS, "CONNECT on the database") or []
    extensions = {str(name): str(found) for name, found in rows}
    major = re.match(r"\d+", version)
    if major and memory:
        seen = f"server_version is {version}"
        server.fact("database.cluster.version", major[0], seen)
        server.fact("database.cluster.memory", memory, "named", given=True)
        if extensions:
            server.fact("database.cluster.extensions", dict.fromkeys(extensions, "any"), "pg_extension")
    else:
        server.wanted(
            "database.cluster",
            f"{{version: '{major[0] if major else version}', memory: SIZE}}: only the machine's memory is missing (--memory)",
        )
    return extensions


def statistics(server: Server, settings: Mapping[str, str], extensions: Mapping[str, str]) -> None:
    """Note that statements can be judged, or what that needs."""
    if "pg_stat_statements" in extensions:
        seen = f"pg_stat_statements {extensions['pg_stat_statements']} is installed; the default limits"
        server.fact("database.monitoring", {}, seen)
        server.fact("database.statements", {}, seen)
    else:
        # Without pg_read_all_settings the libraries are not shown.
        loaded = "pg_stat_statements" in settings.get("shared_preload_libraries", "pg_stat_statements")
        needs = "" if loaded else "shared_preload_libraries with a restart, and "
        server.wanted(
            "database.monitoring",
            f"pg_stat_statements is not installed: {needs}CREATE EXTENSION pg_stat_statements",
        )
    server.fact("caching", {"buffers": {}}, "PostgreSQL's own cache; the default limits")


def writes(server: Server) -> str | None:
    """Note the gate's own schema, if it is there and the role may make tables in it; return its name."""
    rows = server.rows("the gate's schema", _WRITES, "CONNECT on the database", {"name": OWN_SCHEMA})
    if rows:
        server.fact("writes.schema", OWN_SCHEMA, "the schema exists, and this role may create tables in it")
        return OWN_SCHEMA
    server.wanted(
        "writes.schema",
        "a schema in which the gate may write its markers (`deploygate grants` writes the SQL); without it the lag of "
        "replicas is inconclusive",
    )
    return None


def backups(server: Server, settings: Mapping[str, str], host: str) -> None:
    """Note the backup tool that archive_command calls. The command itself is shown nowhere: it may hold secrets."""
    if "archive_command" not in settings:
        server.unread("archive_command", "this role may not see it", _HIDDEN.format(role=server.role))
        return
    if settings.get("archive_mode") == "off":
        server.remark(
            "archive_mode is off: no WAL is archived, so nothing can be restored to a point in time"
        )
        server.wanted("backup", "which tool takes backups; archive_command does not say")
        return
    library = settings.get("archive_library", "")
    tool, keys = _tool(settings["archive_command"])
    if keys is None:
        said = tool or (
            f"archive_library is {library}" if library else "archive_command is of no tool that is known"
        )
        server.wanted("backup", f"{said}; {{tool: pgbackrest|barman|base-backup|pg-dump, …}}")
        return
    where = {} if is_loopback(host) else {"host": f"ssh://{host}"}
    server.fact("backup", {"tool": tool, **keys, **where}, f"archive_command calls {tool}")
    server.wanted("backup.scratch", "{folder: …}: where the newest backup may be restored for a test")
    if "host" not in where:
        server.remark(
            "backup: the tool is looked for on this machine, as the DSN names it; else add `backup.host`"
        )


def _tool(command: str) -> tuple[str, dict[str, str] | None]:
    """Return the tool and its keys; None with what is to be said where the keys cannot be told."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    names = [word.rpartition("/")[2] for word in words]
    if "pgbackrest" in names:
        stanza = _option(words, "--stanza")
        keys = {"server": stanza} if stanza else None
        config = _option(words, "--config")
        return (
            ("pgbackrest", keys | ({"config": config} if config else {}))
            if keys
            else (
                "archive_command calls pgBackRest without --stanza",
                None,
            )
        )
    if "barman-wal-archive" in names:
        plain = [
            w
            for w in words[names.index("barman-wal-archive") + 1 :]
            if not w.startswith("-") and "%" not in w
        ]
        return ("barman", {"server": plain[1]}) if len(plain) > 1 else ("archive_command calls Barman", None)
    for name, product in (
        ("wal-g", "WAL-G"),
        ("wal-e", "WAL-E"),
        ("barman-cloud-wal-archive", "Barman's cloud scripts"),
    ):
        if name in names:
            return f"archive_command calls {product}, which the gate has no check for", None
    if names and names[0] in ("cp", "rsync", "scp", "test", "install"):
        return "archive_command copies files: base-backup needs `repository` and `archive`", None
    return "", None


def _option(words: list[str], name: str) -> str:
    for number, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and number + 1 < len(words):
            return words[number + 1]
    return ""

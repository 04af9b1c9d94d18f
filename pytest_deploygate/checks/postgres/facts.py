"""What is measured on the servers, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Sequence:
    """A sequence that supplies a column's values. `given` is the last value it returned, None if there was none yet.

    `highest` is the column's largest value in the sequence's direction, None for an empty table.
    """

    name: str
    column: str
    given: int | None
    highest: int | None
    increment: int
    first: int
    last: int
    cycles: bool


@dataclass(frozen=True)
class AfterLoadFacts:
    """The findings. Each list names relations or `relation: part`; `unread` lists what could not be read, with reasons.

    `tables` and `with_rows` are counts: if no table has rows, nothing has been loaded yet.
    """

    node: str
    tables: int
    with_rows: int
    sequences: tuple[Sequence, ...]
    unanalyzed: tuple[str, ...]
    stale: tuple[str, ...]
    not_valid: tuple[str, ...]
    switched_off: tuple[str, ...]
    no_identity: tuple[str, ...]
    unlogged: tuple[str, ...]
    no_autovacuum: tuple[str, ...]
    ignored: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class CacheFacts:
    """A cache: its hits and misses since it started counting. `evicted` is None if it keeps no such count."""

    name: str
    what: str
    hits: int
    misses: int
    evicted: int | None = None
    since: str = ""


#: What lets a role see pg_hba.conf. Like all grants on system objects they hold in one database.
SHOW_RULES = (
    "GRANT SELECT ON pg_hba_file_rules TO {role};",
    "GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO {role};",
)


@dataclass(frozen=True)
class LoginRule:
    """A line of pg_hba.conf, in the order of the file. `address` is a network, a name, or a word such as `all`; empty: a socket.

    `kind` is `local`, `host`, `hostssl` or another of PostgreSQL's words. A line that does not parse has an `error` and no kind. One
    with both cannot match, such as hostssl without TLS.
    """

    line: int
    file: str = "pg_hba.conf"
    kind: str = ""
    databases: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    address: str = ""
    method: str = ""
    options: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Idle:
    """The session that has been idle within its transaction for longest: its process, role, application and transaction's age."""

    pid: int
    role: str
    application: str
    age: timedelta


@dataclass(frozen=True)
class ServerState:
    """One server. `settings` holds values as SHOW prints them, `sizes` bytes; `None` means hidden.

    `checksum_failures` sums over the databases. `collations` are those whose library version changed since their
    indexes were built. `prepared` is the oldest prepared transaction: its name and age. `asynchronous` are roles and databases
    with a synchronous_commit=off of their own. `rules` is None if pg_hba.conf is hidden; then `unasked` tells whether the
    gate's role itself gets in from here without its password (None: not tried); `local`: its address is this host's own. `unseen_sessions` hide their state from us.
    `role` is the gate's role as SQL writes it.
    """

    node: str
    primary: bool
    version: str
    in_recovery: bool
    settings: Mapping[str, str | None]
    sizes: Mapping[str, int]
    pending_restart: tuple[str, ...]
    extensions: Mapping[str, str]
    updates: Mapping[str, str]
    xid_age: int
    checksum_failures: int | None
    collations: tuple[str, ...]
    prepared: tuple[str, timedelta] | None
    hidden: tuple[str, ...] = ()
    asynchronous: tuple[str, ...] = ()
    rules: tuple[LoginRule, ...] | None = None
    unasked: bool | None = None
    local: bool = False
    idle: Idle | None = None
    unseen_sessions: int = 0
    role: str = ""


@dataclass(frozen=True)
class MonitoringFacts:
    """How visible slow statements are. `loaded` is None if the setting is hidden.

    `counted` is the number of calls counted for two statements of ours; None if the view cannot be read
    (`problem`). `slow_log_ms` is log_min_duration_statement, `explain_ms` auto_explain's; negative: off.
    `own_settings` are roles and databases with a setting of their own, by ALTER ROLE or ALTER DATABASE.
    """

    node: str
    loaded: bool | None
    installed: bool
    schema: str
    track: str
    counted: int | None
    slow_log_ms: int
    explain_ms: int
    problem: str = ""
    own_settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Statement:
    """One normalized statement; times in milliseconds."""

    query_id: int
    role: str
    text: str
    calls: int
    mean_ms: float
    deviation_ms: float
    max_ms: float
    total_ms: float


@dataclass(frozen=True)
class StatementFacts:
    """The statements of this database since `since`, slowest first. `hidden` counts those of roles we may not see."""

    node: str
    now: datetime
    since: datetime | None
    evicted: int
    own_role: str
    hidden: int
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Answer:
    """The first rows of an answer, at most MOST_ROWS; `more` is true if there were others.

    `empty` is the table that the answer depends on, if it has no rows.
    """

    query: str
    rows: tuple[tuple[Any, ...], ...]
    more: bool
    empty: str | None

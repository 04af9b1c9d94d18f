"""Sessions of a MariaDB or MySQL server that only read, with pinned settings. The client library is an extra.

Settings of a server or of a role (`init_connect`) would change the text of values: they are set in each session, and read
back, because a proxy in between may drop them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.fields.postgres import ServerLogin
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact

#: `sql_mode` without what makes names of quoted texts, joins with `||`, or pads; with strictness, so that nothing is cut.
SETTINGS: Mapping[str, str] = {
    "sql_mode": "STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES",
    "time_zone": "+00:00",
    "lc_time_names": "en_US",
    "collation_connection": "utf8mb4_bin",
    "character_set_results": "utf8mb4",
    "div_precision_increment": "4",
    "group_concat_max_len": "1048576",
    "max_sort_length": "8388608",
}
_READ_ONLY = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"
_CA_NEEDED = "verify-ca and verify-full need `sslrootcert`, the certificate of the authority"
#: The server answers within this time after its own limit for a statement.
_GRACE_S = 10.0
_DENIED, _NO_PRIVILEGE, _KILLED, _TIMED_OUT = 1045, {1044, 1142, 1143, 1227}, 1317, {1969, 3024}


class MariaDbConnection:
    """One session. `statement_s` limits each statement, on the server and here."""

    def __init__(self, login: ServerLogin, statement_s: float) -> None:
        """Connect. Raises CannotTell, NotReached where nothing answers."""
        self._login, self._statement_s = login, statement_s
        self._opened = self._connect()
        try:
            with self._opened.cursor() as cursor:
                cursor.execute("SELECT VERSION()")
                self.version = str(cursor.fetchone()[0])
                self._pin(cursor)
        except self._error() as error:
            self.close()
            raise CannotTell(self._explained(error)) from None
        except CannotTell:
            self.close()
            raise

    @property
    def maria(self) -> bool:
        """Whether the server is MariaDB; else it is MySQL."""
        return "mariadb" in self.version.lower()

    @property
    def open(self) -> bool:
        """Whether the session can still be used."""
        return bool(self._opened.open)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows: bytes of binary values. Raises CannotTell."""
        try:
            with stopping.cutting(self.cancel), self._opened.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        except self._error() as error:
            raise CannotTell(self._explained(error)) from None
        except UnicodeDecodeError as error:
            raise CannotTell(f"{self._place} gave a text that is not UTF-8: {error.reason}") from None

    def cancel(self) -> None:
        """End from another thread what the session waits for."""
        with contextlib.suppress(CannotTell, self._error()):
            other = self._connect()
            try:
                other.query(f"KILL QUERY {self._opened.thread_id()}")
            finally:
                other.close()

    def close(self) -> None:
        """Close the session."""
        with contextlib.suppress(self._error()):
            self._opened.close()

    @property
    def _place(self) -> str:
        node = self._login.primary
        return f"{node.name} ({node.host}:{node.port})"

    def _error(self) -> type[Exception]:
        import pymysql  # noqa: PLC0415 (an extra)

        found: type[Exception] = pymysql.err.MySQLError
        return found

    def _connect(self) -> Any:
        try:
            import pymysql  # noqa: PLC0415 (an extra)
        except ImportError:
            raise CannotTell(
                f"{self._login.primary.name} cannot be asked, the client of MariaDB is not installed; "
                "run: pip install 'pytest-deploygate[mariadb]'"
            ) from None
        login = self._login
        if login.sslmode.startswith("verify") and login.sslrootcert is None:
            raise CannotTell(f"{self._place} cannot be asked: {_CA_NEEDED}")
        place = reach.at(login.primary.host, login.primary.port)
        if silence := reach.known(place):
            raise NotReached(f"{self._place} cannot be used: {silence}")
        try:
            with reach.attempt(place):
                opened = pymysql.connect(
                    host=login.primary.host,
                    port=login.primary.port,
                    user=login.user,
                    password=login.password.reveal() if login.password else "",
                    database=login.name,
                    charset="utf8mb4",
                    collation="utf8mb4_bin",
                    autocommit=True,
                    local_infile=False,
                    program_name="deploygate",
                    connect_timeout=max(1, round(login.connect_timeout.total_seconds())),
                    read_timeout=self._statement_s + _GRACE_S,
                    conv={},
                    **_tls(login),
                )
        except (pymysql.err.MySQLError, OSError) as error:
            raise CannotTell(self._explained(error)) from None
        return opened

    def _pin(self, cursor: Any) -> None:
        for name, value in SETTINGS.items():
            given = value if value.isdigit() else f"'{value}'"
            cursor.execute(f"SET SESSION {name} = {given}")
        cursor.execute(_READ_ONLY)
        limit = (
            f"max_statement_time = {self._statement_s:.3f}"
            if self.maria
            else f"max_execution_time = {round(self._statement_s * 1000)}"
        )
        cursor.execute(f"SET SESSION {limit}")
        cursor.execute("SELECT " + ", ".join(f"CAST(@@SESSION.{name} AS CHAR)" for name in SETTINGS))
        found = dict(zip(SETTINGS, cursor.fetchone(), strict=True))
        wrong = [
            f"{name} is {value!r}"
            for name, value in found.items()
            if set(str(value).split(",")) != set(SETTINGS[name].split(","))
        ]
        if wrong:
            raise CannotTell(
                f"settings of a session on {self._place} cannot be fixed: {', '.join(wrong)}; connect to the server "
                "itself, not to a proxy"
            )

    def _explained(self, error: Exception) -> str:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = redact(str(error.args[-1] if error.args else error)) or type(error).__name__
        if number == _DENIED:
            return f"{self._place} refuses the login: {said}; correct `user` or `password`"
        if number in _NO_PRIVILEGE:
            return f"{self._place} denies permission: {said}; grant SELECT to the gate's role"
        if number in _TIMED_OUT or number == _KILLED:
            return f"{self._place} did not answer within the statement timeout: {said}"
        if 2000 <= number < 3000 or not number:
            return f"{self._place} cannot be used: {said}"
        return f"{self._place} answered with an error: {said}"


def _tls(login: ServerLogin) -> dict[str, Any]:
    """Return what the client takes for `sslmode`: `prefer` is what it does by itself."""
    if login.sslmode == "disable":
        return {"ssl_disabled": True}
    if login.sslmode in {"allow", "prefer"}:
        return {}
    if login.sslmode == "require":
        import ssl  # noqa: PLC0415 (used here alone)

        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}
    return {
        "ssl_ca": str(login.sslrootcert),
        "ssl_verify_cert": True,
        "ssl_verify_identity": login.sslmode == "verify-full",
    }

"""The right to erasure, tested: a synthetic person is created, found, erased through the platform, and searched for again.

The person's token is kept in the schema that `writes` names until the erasure is done, so that a run after a crash
can erase the person left behind.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from pytest_deploygate.checks.privacy.facts import ErasureFacts, Sweep
from pytest_deploygate.checks.privacy.probe.operations import Subject, do, new_subject
from pytest_deploygate.checks.privacy.probe.sweep import look_again, sweep
from pytest_deploygate.checks.privacy.probe.writings import DISGUISE, PLAIN, disguised
from pytest_deploygate.checks.privacy.section import Erasure
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Ended
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.model import CannotTell

TABLE = "deploygate_subjects"
_ITEM = "comp.erasure"
# The token is part of the person's address: a server that logs statements, parameters or plans must not log it. From
# a row and not from a constant, which would be computed while planning.
_KEEP = "INSERT INTO {} (token) SELECT translate(t, %s, %s) FROM unnest(%s::text[]) AS t"
_FORGET = "DELETE FROM {} WHERE token IN (SELECT translate(t, %s, %s) FROM unnest(%s::text[]) AS t)"


def erase_person(cluster: Cluster, erasure: Erasure, budget: Budget | None = None) -> ErasureFacts:
    """Create, find, erase, search again; the searches draw on `budget`, left out on one that is in no ledger.

    Raises CannotTell if the person could not be created or the first sweep failed.
    """
    drawn = budget or budgets.unrecorded(_ITEM)
    patient = Cluster(
        cluster.settings.model_copy(update={"statement_timeout": erasure.table_timeout}),
        cluster.writes_schema,
    )
    with contextlib.closing(patient), _kept(patient, erasure) as (subject, left_behind):
        try:
            with stopping.shielded():
                do(patient, erasure.role, erasure.create, subject)
            with drawn.probe("sweep", control=lambda: _answers(patient)) as spending:
                before = sweep(patient, erasure, subject, spending)
        except BaseException:
            with stopping.shielded(), contextlib.suppress(CannotTell):
                do(patient, erasure.role, erasure.erase, subject)
            raise
        began = time.monotonic()
        try:
            with stopping.shielded():
                do(patient, erasure.role, erasure.erase, subject)
        except CannotTell as unknown:
            return ErasureFacts(
                subject.email, datetime.now(UTC), before, None, 0.0, str(unknown), left_behind
            )
        with own_lag.watching() as lag:
            _wait(patient, erasure, before, subject, lag)
        took_s = time.monotonic() - began
        if erasure.logs:
            # Log writers buffer lines for a moment; what is not yet written cannot be found.
            time.sleep(max(0.0, erasure.logs_settle.total_seconds() - took_s))
        with drawn.probe("sweep", control=lambda: _answers(patient)) as spending:
            after = sweep(patient, erasure, subject, spending)
        return ErasureFacts(
            subject.email, datetime.now(UTC), before, after, took_s, "", left_behind, lag.since(),
            f"{cluster.writes_schema}.{TABLE}",
        )  # fmt: skip


def _answers(cluster: Cluster) -> bool:
    """Ask the primary for something harmless."""
    with contextlib.closing(cluster.connect(cluster.primary)) as connection:
        return connection.execute("SELECT true").fetchone() is not None


def _wait(cluster: Cluster, erasure: Erasure, before: Sweep, subject: Subject, lag: Lag) -> None:
    """Wait until the places that must be empty are empty, or time is up: erasures may work in the background."""
    allowed = {entry.where for entry in erasure.allowed}
    places = [hit.place for hit in before.hits if hit.place not in allowed]
    began = time.monotonic()
    with contextlib.suppress(CannotTell):
        while look_again(cluster, erasure, places, subject) and lag.fair_s(began) < erasure.patience_s:
            time.sleep(0.2)


@contextlib.contextmanager
def _kept(cluster: Cluster, erasure: Erasure) -> Iterator[tuple[Subject, int]]:
    """Yield a new person whose token is kept until the erasure; first erase persons that a crash left behind."""
    token = secrets.token_hex(8)
    try:
        connection, schema = cluster.writer(cluster.primary)
    except CannotTell as unknown:
        raise CannotTell(f"a person left behind by a crash could not be found again: {unknown}") from unknown
    table = sql.Identifier(schema, TABLE)
    try:
        with connection:
            _prepare(connection, table)
            left = _erase_left(cluster, erasure, connection, table)
            kept = (DISGUISE, PLAIN, [disguised(token)])
            connection.execute(sql.SQL(_KEEP).format(table), kept)
            subject = new_subject(token)
            try:
                yield subject, left
            except Ended:  # the person was erased
                connection.execute(sql.SQL(_FORGET).format(table), kept)
                raise
            connection.execute(sql.SQL(_FORGET).format(table), kept)
    except psycopg.Error as error:
        raise CannotTell(
            f"the person's token could not be kept: {explain(cluster.primary, error)}"
        ) from error


def _prepare(connection: psycopg.Connection[tuple[object, ...]], table: sql.Identifier) -> None:
    there = connection.execute("SELECT to_regclass(%s)", (table.as_string(connection),)).fetchone()
    if not (there and there[0]):
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (token text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())"
            ).format(table)
        )


def _erase_left(
    cluster: Cluster,
    erasure: Erasure,
    connection: psycopg.Connection[tuple[object, ...]],
    table: sql.Identifier,
) -> int:
    """Erase persons whose run has certainly ended; if the erasure fails, the person stays on the list."""
    old = connection.execute(
        sql.SQL(
            "SELECT token FROM {} WHERE made_at < now() - interval '10 minutes' ORDER BY 1 LIMIT 50"
        ).format(table)
    ).fetchall()
    done = 0
    for (token,) in old:
        with contextlib.suppress(CannotTell):
            do(cluster, erasure.role, erasure.erase, new_subject(str(token)))
            connection.execute(sql.SQL(_FORGET).format(table), (DISGUISE, PLAIN, [disguised(str(token))]))
            done += 1
    return done

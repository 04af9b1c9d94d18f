"""Judge migrations before they run: what would rewrite, scan or lock a table that is not small.

A rehearsal decides. The rules here are for what could only be read. They are those of PostgreSQL's manual (ALTER TABLE, CREATE INDEX, Explicit Locking), each with an alternative.
A statement that no rule covers and that is not known to be harmless makes the verdict inconclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pytest_deploygate.checks.migrations.facts import LintFacts, Step
from pytest_deploygate.checks.migrations.judge import known_sql, refusals
from pytest_deploygate.checks.migrations.judge import rehearsed as seen
from pytest_deploygate.checks.migrations.judge.hit import Hit
from pytest_deploygate.checks.migrations.section.lint import UNKNOWN, MigrationLint
from pytest_deploygate.checks.migrations.statements import statements
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

_NAMED = 3
_SHOWN = 80


@dataclass(frozen=True)
class Rule:
    """A pattern for statements with emptied strings, what they do, and the alternative. `always`: at any size."""

    name: str
    pattern: re.Pattern[str]
    does: str
    instead: str
    rewrites: bool = False
    always: bool = False


def _rule(
    name: str, pattern: str, does: str, instead: str, *, rewrites: bool = False, always: bool = False
) -> Rule:
    return Rule(name, re.compile(pattern, re.IGNORECASE), does, instead, rewrites, always)


# The name of a new column, which is not the beginning of a table constraint.
_COLUMN = (
    r"(COLUMN )?(IF NOT EXISTS )?(?!CONSTRAINT\b|CHECK\b|FOREIGN KEY\b|PRIMARY KEY\b|UNIQUE\b|EXCLUDE\b)"
)
_RULES = (
    _rule("changes-type", r"^ALTER TABLE .*\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b",
          "rewrites the table under ACCESS EXCLUSIVE", "add a column, fill it in batches, switch over", rewrites=True),
    _rule("volatile-default", r"^ALTER TABLE .*\bADD (COLUMN )?.*\bDEFAULT\b[^,]*\b(random|gen_random_uuid|uuid_generate\w*"
          r"|clock_timestamp|nextval|timeofday)\s*\(",
          "rewrites the table under ACCESS EXCLUSIVE", "add it without a default, then fill it in batches", rewrites=True),
    _rule("changes-expression", r"^ALTER TABLE .*\bALTER (COLUMN )?\S+ SET EXPRESSION\b",
          "rewrites the table under ACCESS EXCLUSIVE", "add a plain column and fill it in batches", rewrites=True),
    _rule("adds-identity-or-stored", r"^ALTER TABLE .*\bADD (COLUMN )?.*(\b(small|big)?serial\b|GENERATED .* AS (IDENTITY|\(.*STORED))",
          "rewrites the table under ACCESS EXCLUSIVE", "add a plain column and fill it in batches", rewrites=True),
    _rule("rewrites-table", r"^(VACUUM\b.*\bFULL\b|CLUSTER\b|ALTER TABLE .*\bSET (LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)\b)",
          "rewrites the table under ACCESS EXCLUSIVE", "use pg_repack, or a maintenance window", rewrites=True),
    _rule("locks-for-index", r"^CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)", "blocks writes until the index is built",
          "CREATE INDEX CONCURRENTLY, outside a transaction"),
    _rule("locks-for-reindex", r"^(REINDEX (?!.*CONCURRENTLY)|DROP INDEX (?!CONCURRENTLY))",
          "blocks the table while it runs", "use CONCURRENTLY"),
    _rule("validates-constraint", r"^ALTER TABLE .*\bADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY)\b(?!.*NOT VALID)",
          "scans the table under a lock", "ADD … NOT VALID, then VALIDATE CONSTRAINT in a second step"),
    # Checking a new column reads the whole table; a foreign key on one without a default reads no rows.
    _rule("adds-checked-column", r"^ALTER TABLE .*\bADD " + _COLUMN + r".*(\bCHECK ?\(|\bDEFAULT (?!NULL).*\bREFERENCES\b"
          r"|\bREFERENCES\b.*\bDEFAULT (?!NULL))",
          "scans the table under ACCESS EXCLUSIVE", "add the column alone, then the constraint NOT VALID, then VALIDATE it"),
    _rule("adds-key", r"^ALTER TABLE .*\bADD ((CONSTRAINT \S+ )?(PRIMARY KEY|UNIQUE|EXCLUDE)\b(?!.*USING INDEX)"
          r"|" + _COLUMN + r".*\b(PRIMARY KEY|UNIQUE)\b)",
          "builds an index under ACCESS EXCLUSIVE", "CREATE UNIQUE INDEX CONCURRENTLY, then ADD … USING INDEX"),
    _rule("scans-for-not-null", r"^ALTER TABLE .*\bSET NOT NULL\b", "scans the table under ACCESS EXCLUSIVE",
          "first add a CHECK (… IS NOT NULL) NOT VALID and validate it"),
    _rule("adds-not-null-without-default", r"^ALTER TABLE .*\bADD " + _COLUMN + r"(?!.*\b(DEFAULT|GENERATED|(small|big)?serial)\b).*\bNOT NULL\b",
          "fails on a table with rows", "give it a constant default", always=True),
    _rule("updates-all-rows", r"^(UPDATE|DELETE FROM)\b(?!.*\bWHERE\b)", "writes every row in one transaction",
          "do it in batches", rewrites=True),
    _rule("refreshes-view", r"^REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)", "blocks readers of the view",
          "use CONCURRENTLY (it needs a unique index)"),
    _rule("detaches-partition", r"^ALTER TABLE .*\bDETACH PARTITION (?!.*\b(CONCURRENTLY|FINALIZE)\b)",
          "locks the whole table and the partition under ACCESS EXCLUSIVE", "use CONCURRENTLY, outside a transaction"),
    _rule("takes-lock", r"^LOCK\b(?!.*\bIN (ACCESS|ROW) SHARE MODE\b)", "holds a lock until its transaction ends",
          "let each statement take the lock that it needs"),
    _rule("drops", r"^(DROP (TABLE|SCHEMA|DATABASE)\b|TRUNCATE\b|ALTER TABLE .*\bDROP (COLUMN )?(?!CONSTRAINT|DEFAULT|NOT|EXPRESSION|IDENTITY)\S+)",
          "removes data that the old version may still need", "do it in a release after the old version is retired", always=True),
    _rule("renames", r"^(ALTER TABLE .*\b(RENAME (?!CONSTRAINT\b)|SET SCHEMA\b)|ALTER SCHEMA \S+ RENAME\b)",
          "breaks the old version while it still runs",
          "add the new name beside the old one", always=True),
)  # fmt: skip
_LOCKS = re.compile(
    r"^(ALTER TABLE|DROP TABLE|TRUNCATE|CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)|CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER"
    r"|CREATE .*TABLE .*\b(PARTITION OF|REFERENCES)|LOCK|CLUSTER)\b",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(
    r"^((CREATE (UNIQUE )?|DROP )INDEX CONCURRENTLY|REINDEX\b.*\bCONCURRENTLY|ALTER TABLE .*DETACH PARTITION .*\bCONCURRENTLY)",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"^(BEGIN|START TRANSACTION)\b", re.IGNORECASE)
_ENDS = re.compile(r"^(COMMIT|END|ROLLBACK(?! TO))\b", re.IGNORECASE)
_TIMEOUT = re.compile(r"^SET (LOCAL |SESSION )?lock_timeout\b", re.IGNORECASE)


def judge_lint(found: LintFacts, lint: MigrationLint) -> Judgement:
    """Pass if no statement would rewrite, scan or lock a table larger than what the inventory calls small.

    What was rehearsed is judged by what it did; reading its SQL is then a note. What was only read is judged by that,
    and passes only where the inventory says that a reading is enough, or where it has run already.
    """
    ran = found.rehearsal
    read = [step for step in found.steps if not ran or step.file not in ran.sources]
    hits = [Hit.of(hit) for step in read for hit in _hits(step, found, lint)]
    unclear = [Hit.of(u) for step in read for u in _unclear(step, lint)]
    notes: tuple[str, ...] = ()
    if ran:
        done = [
            replace(hit, rules=hit.rules | _rules_of(hit, found, lint)) for hit in seen.hits(ran, found, lint)
        ]
        hits = [hit for hit in done if hit.certain] + hits
        unclear = [hit for hit in done if not hit.certain] + unclear
        notes += _second_opinion(found, lint, done) + tuple(
            f"not in the rehearsal: {w}" for w in ran.left_out
        )
    bad = [h for h in hits if not _allowed(h, lint)]
    unknown = [u for u in unclear if not _allowed(u, lint)]
    allowed = [h for h in hits if h not in bad] + [u for u in unclear if u not in unknown]
    notes += tuple(f"allowed by the inventory: {hit.text}" for hit in allowed)
    notes += tuple(hit.text for hit in unknown) if bad else ()
    count = (len(ran.observed) if ran else 0) + len(read)
    readings = (
        Reading("migrations rehearsed", len(ran.sources) if ran else 0),
        Reading("migrations read", len(found.sources)),
        Reading("statements", count),
        Reading("harmful statements", len(bad), limit="0", ok=not bad),
        Reading(
            "statements of unknown effect",
            len(unknown),
            limit="" if unknown else "0",
            ok=None if unknown else True,
        ),
    )
    if bad:
        by = f" (by reading only: {found.not_rehearsed})" if found.not_rehearsed else ""
        return Judgement(Verdict.FAIL, _listed(bad) + by, readings, notes)
    if unknown:
        asked = ""
        if any(UNKNOWN in hit.rules for hit in unknown):
            asked = (
                ": review what it does and list it under `database.migration_lint.allowed` "
                f"with its file, its text as `statement`, `rule: {UNKNOWN}` and the reason"
            )
        return Judgement(Verdict.INCONCLUSIVE, _listed(unknown) + asked, readings, notes)
    if found.not_rehearsed:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{_whole(len(found.steps), found)} read, none harmful, but they were not rehearsed: {found.not_rehearsed}; or "
            "accept a reading with `migration_lint.rehearse: false`",
            readings,
            notes,
        )
    if not found.steps and not (ran and ran.observed):
        return Judgement(Verdict.PASS, f"nothing would run: {'; '.join(found.sources)}", readings, notes)
    return Judgement(Verdict.PASS, _good(found, read, lint), readings, notes)


def _good(found: LintFacts, read: list[Step], lint: MigrationLint) -> str:
    does = f"rewrite, scan or lock no table over {words_for_bytes(lint.small)}"
    ran = found.rehearsal
    if ran is None:
        return f"{_whole(len(found.steps), found)} {does}, by a reading of their SQL only"
    said = (
        f"rehearsed with the live schema on {ran.server}: {len(ran.sources)} migrations {does}"
        if ran.sources
        else "nothing is pending"
    )
    if read:
        said += f"; those that have run already ({len({step.file for step in read})}) were only read, with the same result"
    return said


def _whole(count: int, found: LintFacts) -> str:
    return f"{count} statements of {len(found.sources)} migrations"


def _rules_of(hit: Hit, found: LintFacts, lint: MigrationLint) -> frozenset[str]:
    """Return the rules by which reading would have named the same statement: entries of `allowed` may use them."""
    return frozenset(
        rule
        for step in found.steps
        if step.file == hit.file and hit.line and step.statement.line == hit.line
        for _, rule, _ in _hits(step, found, lint)
    )


def _second_opinion(found: LintFacts, lint: MigrationLint, done: list[Hit]) -> tuple[str, ...]:
    """Say what reading alone would have named, and the rehearsal did not see."""
    ran = found.rehearsal
    named = {(hit.file, hit.line) for hit in done}
    only = [
        f"{_at(step)} [{rule}]"
        for step in found.steps
        if ran and step.file in ran.sources and (step.file, step.statement.line) not in named
        for _, rule, _ in _hits(step, found, lint)
    ]
    if not only:
        return ()
    more = f" and {len(only) - _NAMED} more" if len(only) > _NAMED else ""
    return (
        f"a reading alone would have named {', '.join(only[:_NAMED])}{more}; the rehearsal saw no such effect",
    )


def _listed(hits: list[Hit]) -> str:
    more = f" and {len(hits) - _NAMED} more" if len(hits) > _NAMED else ""
    return "; ".join(hit.text for hit in hits[:_NAMED]) + more


def _unclear(step: Step, lint: MigrationLint) -> Iterator[tuple[Step, str, str]]:
    """Yield (step, rule, text) for statements that no rule covers; a small or new table cannot be harmed."""
    if step.made_here or (step.table and not _over(step, lint)):
        return
    for part in known_sql.unknown(step.statement.bare, _judged):
        said = part if len(part) <= _SHOWN else part[:_SHOWN] + "…"
        yield step, UNKNOWN, f"{_at(step)} [{UNKNOWN}] its effect on tables is unknown: {said}"


def _judged(statement: str) -> bool:
    return any(rule.pattern.search(statement) for rule in _RULES)


def _hits(step: Step, found: LintFacts, lint: MigrationLint) -> Iterator[tuple[Step, str, str]]:
    """Yield (step, rule, text) for what a statement would do. A table created by the same migrations is empty."""
    if _CONCURRENTLY.match(step.statement.bare) and _in_transaction(step, found):
        yield (
            step, "concurrently-in-transaction",
            f"{_at(step)} [concurrently-in-transaction] fails: CONCURRENTLY cannot run inside a transaction: "
            + refusals.outside_a_transaction(step.file),
        )  # fmt: skip
    if not step.made_here:
        yield from _by_rules(step, found, lint)
    yield from _without_timeout(step, found, lint)


def _by_rules(step: Step, found: LintFacts, lint: MigrationLint) -> Iterator[tuple[Step, str, str]]:
    actions = known_sql.pieces(step.statement.bare)
    for rule in _RULES:
        if not any(rule.pattern.search(action) for action in actions):
            continue
        size = step.size_bytes
        unknown = "of unknown size (it is not in the database)"
        if not rule.always and size is not None and size <= lint.small:
            continue
        if rule.always and rule.name.startswith("adds-not-null") and size is not None and size == 0:
            continue
        large = f"{step.table or 'a table'} ({words_for_bytes(size) if size is not None else unknown})"
        wal = ""
        limit = found.slot_limit_bytes
        if rule.rewrites and size is not None and limit is not None and found.replicas and size > limit:
            wal = (
                f"; its WAL of about {words_for_bytes(size)} is over max_slot_wal_keep_size "
                f"({words_for_bytes(limit)}): lagging replicas are lost"
            )
        yield step, rule.name, f"{_at(step)} [{rule.name}] {rule.does}: {large}: {rule.instead}{wal}"


def _without_timeout(step: Step, found: LintFacts, lint: MigrationLint) -> Iterator[tuple[Step, str, str]]:
    """Yield statements that would wait indefinitely for locks, on their own table or on those that foreign keys reference."""
    if not _LOCKS.match(step.statement.bare) or _has_timeout(step, found, lint):
        return
    large = [step.table or "a table"] if _locks_its_own(step) and _over(step, lint) else []
    large += [t.table for t in step.referenced if t.size_bytes is None or t.size_bytes > lint.small]
    if not large:
        return
    asked = words_for(lint.lock_timeout) if lint.lock_timeout else ""
    yield (
        step, "lock-timeout",
        f"{_at(step)} [lock-timeout] waits indefinitely for its lock on {' and '.join(dict.fromkeys(large))}, and "
        f"other sessions queue behind it: SET lock_timeout = '{asked}' before it",
    )  # fmt: skip


def _locks_its_own(step: Step) -> bool:
    """Return whether others may use the locked table: not if it is new. For a new partition, it is the parent."""
    if step.made_here:
        return False
    return bool(step.table) or not step.referenced


def _in_transaction(step: Step, found: LintFacts) -> bool:
    """Return whether a transaction that the file itself began is open at a statement."""
    inside = False
    for other in found.steps:
        if other is step:
            return inside
        if other.file == step.file:
            inside = bool(_BEGINS.match(other.statement.bare)) or (
                inside and not _ENDS.match(other.statement.bare)
            )
    return False


def _over(step: Step, lint: MigrationLint) -> bool:
    return step.size_bytes is None or step.size_bytes > lint.small


def _has_timeout(step: Step, found: LintFacts, lint: MigrationLint) -> bool:
    if lint.lock_timeout is None or lint.lock_timeout_is_set:
        return True
    before = [s for s in found.steps if s.file == step.file and s.statement.line <= step.statement.line]
    return any(
        _TIMEOUT.match(s.statement.bare) and not re.search(r"= ?'?0|TO '?0\b", s.statement.text)
        for s in before
    )


def _allowed(hit: Hit, lint: MigrationLint) -> bool:
    return any(
        entry.file == hit.file and entry.rule in hit.rules and _is_for(entry.statement, hit.statement)
        for entry in lint.allowed
    )


def _is_for(wanted: str | None, statement: str) -> bool:
    """Whether an entry is for a statement; without a text it is for each. Blanks, comments and case do not matter."""
    if wanted is None:
        return True
    begins = wanted.rstrip().removesuffix("…").removesuffix("...")
    if begins == wanted.rstrip():
        return _plain(wanted) == _plain(statement)
    return _plain(statement).startswith(_plain(begins))


def _plain(text: str) -> str:
    return "; ".join(" ".join(found.text.split()) for found in statements(text)).casefold()


def _at(step: Step) -> str:
    return f"{step.file}:{step.statement.line}"

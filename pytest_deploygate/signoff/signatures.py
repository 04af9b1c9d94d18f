"""Checks of the signatures in a folder: on exactly this report, valid, by permitted keys, by all roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, time_words
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import nearest
from pytest_deploygate.signoff import outside, ssh
from pytest_deploygate.signoff.folder import REPORT, SIGNATURES, Taken, digest
from pytest_deploygate.signoff.recorded import Stands
from pytest_deploygate.signoff.result import BROKEN, UNSIGNED, Check, Signed
from pytest_deploygate.signoff.statement import Statement, StatementError, parse

_JSON, _SIG = ".json", ".json.sig"


@dataclass(frozen=True)
class Found:
    """The two files of one role. `said` is None if the statement cannot be read; `problem` then says why."""

    role: str
    raw: bytes
    armour: bytes
    said: Statement | None
    made: ssh.Made
    problem: str = ""

    @property
    def file(self) -> str:
        """The statement's path in the folder."""
        return f"{SIGNATURES}/{self.role}{_JSON}"

    @property
    def valid(self) -> bool:
        """True if the statement is readable and the signature matches it, whoever made it."""
        return self.said is not None and bool(self.made.key)


def found(taken: Taken) -> list[Found]:
    """Read the signatures of a folder. Raises ssh.SshError if there is no ssh-keygen."""
    roles = dict.fromkeys(_role(name) for name in taken.signatures if name.endswith((_JSON, _SIG)))
    return [_found(taken, role) for role in roles]


def _role(name: str) -> str:
    return name.removesuffix(".sig").removesuffix(_JSON)


def _found(taken: Taken, role: str) -> Found:
    raw, armour = taken.signatures.get(role + _JSON), taken.signatures.get(role + _SIG)
    if raw is None:
        return Found(
            role,
            b"",
            armour or b"",
            None,
            ssh.Made(),
            "the statement is missing; only its signature is there",
        )
    try:
        said, problem = parse(raw), ""
    except StatementError as error:
        said, problem = None, str(error)
    if armour is None:
        return Found(role, raw, b"", said, ssh.Made(problem="there is no signature beside it"), problem)
    return Found(role, raw, armour, said, ssh.made_by(raw, armour), problem)


def head(stands: Stands, signatures: Sequence[Found]) -> Iterator[Check]:
    """Look for the signed head in the journal: the chain alone reveals neither a truncated tail nor a full rewrite."""
    known = {entry.sha256: entry.seq for entry in stands.entries}
    said = [one.said for one in signatures if one.said and one.valid and one.said.change == stands.change]
    wrong = [one for one in said if known.get(one.journal_head) != one.journal_lines]
    for one in wrong:
        lines = len(stands.entries)
        how = (
            f"it was truncated: {lines} of {one.journal_lines} lines are left"
            if lines < one.journal_lines
            else "it was rewritten, or started again with --fresh"
        )
        text = f"this is not the journal that {one.role} signed (head {one.journal_head[:12]}…): {how}"
        yield Check("signed head", False, text, BROKEN)
    if not said:
        yield Check(
            "signed head",
            None,
            "no signature names the head of the journal: a truncated tail or a full rewrite would go unnoticed",
        )
    elif not wrong:
        yield Check("signed head", True, f"the journal has the head that {len(said)} of the signatures name")


def digests(taken: Taken, stands: Stands, signatures: Sequence[Found]) -> Iterator[Check]:
    """Compare the result files with the digests in the statements about the current journal."""
    for one in signatures:
        if one.said is None or not one.valid or one.said.journal_head != stands.head:
            continue
        for name, signed in signed_digests(one.said).items():
            there = digest(taken.results.get(name))
            if there != signed:
                text = f"{name} is not the one that {one.role} signed: its SHA-256 is {there[:12] or 'missing'}…, signed is {signed[:12]}…"
                yield Check("report" if name == REPORT else name, False, text, BROKEN)


def signed_digests(said: Statement) -> dict[str, str]:
    """Return the digests that a statement names, by result file."""
    return {
        "verdicts.json": said.verdicts_sha256,
        "junit.xml": said.junit_sha256,
        REPORT: said.report_sha256,
    }


def statements(stands: Stands, signatures: Sequence[Found], at: datetime) -> Iterator[Check]:
    """Compare what each statement says with the journal."""
    for one in signatures:
        why = one.problem or (contradiction(stands, one, at) if one.said else "")
        if why:
            yield Check("statement", False, f"{one.file}: {why}", UNSIGNED)
        else:
            yield Check("statement", True, f"{one.file} says what the journal says")


def contradiction(stands: Stands, found_one: Found, at: datetime) -> str:
    """Return how a statement that can be read differs from the journal; empty if it does not."""
    said = found_one.said
    assert said is not None  # noqa: S101 (for mypy: the caller looked)
    for what, claims, is_so in (
        ("change", said.change, stands.change),
        ("role", said.role, found_one.role),
        ("inventory", said.inventory, stands.inventory),
    ):
        if claims != is_so:
            return f"it is about the {what} {claims!r}, here it is {is_so!r}"
    if said.journal_head != stands.head:
        return _stale(stands, said)
    for what, claims, is_so in (
        ("decision", said.decision, stands.outcome),
        ("scope", said.scope, stands.scope),
    ):
        if claims != is_so:
            return f"it names the {what} {claims!r}, the journal says {is_so or 'none'!r}"
    if said.decision != "GO" and not said.reason:
        return f"the decision is {said.decision} and no reason is given for signing it"
    if stands.decision and said.at < stands.decision.at - CLOCK_SLACK:
        return f"it was signed at {time_words(said.at)}, before the decision was taken"
    if said.at > at + CLOCK_SLACK:
        return f"it was signed at {time_words(said.at)}, which is later than {time_words(at)}"
    return ""


def _stale(stands: Stands, said: Statement) -> str:
    """Say that the journal continued after the signature, and how."""
    after = next((e for e in stands.entries if e.kind == "run" and e.seq > said.journal_lines), None)
    if after is None:
        return f"it signs line {said.journal_lines} of the journal, which ends at line {len(stands.entries)}; sign again"
    return (
        f"the report changed after it was signed: a run of {after.body.get('scope') or 'the whole checklist'} began at "
        f"{time_words(after.at)}; sign again"
    )


def armour(signatures: Sequence[Found]) -> Iterator[Check]:
    """Reject armour that ssh-keygen would not have written, even if it still verifies."""
    for one in signatures:
        if one.armour and not one.made.canonical:
            yield Check("armour", False, f"{one.file}.sig: {one.made.problem}", UNSIGNED)


def validity(signatures: Sequence[Found]) -> Iterator[Check]:
    """Check which signatures match their statements."""
    for one in signatures:
        if one.made.key:
            yield Check("signature", True, f"{one.file} was signed by the key {one.made.key}")
        elif one.made.canonical:
            yield Check(
                "signature",
                False,
                f"{one.file}: {one.made.problem or 'there is nothing to verify'}",
                UNSIGNED,
            )


def untrusted_file(folder: Path, allowed: Path | None) -> str:
    """Return why an allowed-signers file does not establish trust; empty if it does."""
    if allowed is None:
        return "there is no allowed-signers file; name one from outside the folder with --allowed-signers"
    if not allowed.is_file():
        return (
            f"there is no allowed-signers file {allowed}; create it, or name another with --allowed-signers"
        )
    try:
        how = outside.reached_through(folder, allowed)
    except OSError as error:
        return f"{allowed} cannot be followed: {error.strerror}"
    if how:
        return f"{allowed} {how} that it would vouch for: whoever forged the one could write the other"
    return ""


def trust(folder: Path, signatures: Sequence[Found], allowed: Path | None, at: datetime) -> Iterator[Check]:
    """Check with the allowed-signers file that each key may sign in its role, when it signed and at `at`."""
    if why := untrusted_file(folder, allowed):
        yield Check("trust", False, f"trust not established: {why}", UNSIGNED)
        return
    assert allowed is not None  # noqa: S101 (for mypy: `untrusted_file` looked)
    for one in signatures:
        if one.said is None or not one.made.key:
            continue
        why = ssh.refused(one.raw, one.armour, one.role, allowed, (one.said.at, at))
        text = f"{one.made.key} {why}" if why else f"{one.made.key} may sign as {one.role}"
        yield Check(
            "trust", not why, f"{one.file}: {text} in {allowed}" if why else text, UNSIGNED if why else 0
        )


def shared_keys(signatures: Sequence[Found]) -> Iterator[Check]:
    """Reject one key in two roles; note one name in two roles."""
    for one, other in _pairs(signatures):
        if one.made.key and one.made.key == other.made.key:
            text = f"{one.role} and {other.role} were signed with the same key, {one.made.key}: two roles need two people"
            yield Check("separate keys", False, text, UNSIGNED)
        elif one.said and other.said and one.said.name.casefold() == other.said.name.casefold():
            yield Check(
                "separate keys",
                None,
                f"{one.said.name} signs as {one.role} and as {other.role}, with two keys",
            )


def _pairs(signatures: Sequence[Found]) -> Iterator[tuple[Found, Found]]:
    for n, one in enumerate(signatures):
        for other in signatures[n + 1 :]:
            yield one, other


def complete(roles: Sequence[str], signatures: Sequence[Found]) -> Iterator[Check]:
    """Report roles that have not signed, and signatures in unknown roles."""
    if not roles:
        text = "no role is named to sign: the checklist has no sign-off lines; use --roles"
        yield Check("roles", False, text, UNSIGNED)
        return
    for one in signatures:
        if one.role not in roles:
            yield Check(
                "roles",
                False,
                f"{one.file}: there is no role {one.role!r}{nearest(one.role, roles)}",
                UNSIGNED,
            )
    there = {one.role for one in signatures}
    missing = [role for role in roles if role not in there]
    if missing:
        text = f"{len(roles) - len(missing)} of {len(roles)} roles have signed; missing: {', '.join(missing)}"
        yield Check("roles", False, text, UNSIGNED)
    else:
        yield Check("roles", True, f"all {len(roles)} roles have signed: {', '.join(roles)}")


def as_signed(one: Found, *, trusted: bool) -> Signed:
    """Return a signature as the results show it."""
    if one.said is None:
        return Signed(one.role, "", None, "", "", one.made.key, trusted=False)
    said = one.said
    return Signed(one.role, said.name, said.at, said.meaning, said.reason, one.made.key, trusted)

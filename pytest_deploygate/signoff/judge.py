"""The item `hand.sign-off`: have all roles signed exactly this report?"""

from __future__ import annotations

from pytest_deploygate.model import Judgement, Reading, Verdict
from pytest_deploygate.signoff.result import VerifyResult


def judge(result: VerifyResult, criterion: object = None) -> Judgement:
    """Pass if the folder verifies and every role has signed. Pure. `criterion` is ignored: the roles are in the result,
    and there is nothing to configure.

    Nobody has signed yet: `not_covered`. The owners of the keys are unknown: `inconclusive`. Everything else: `fail`.
    """
    del criterion
    readings = tuple(_reading(role, result) for role in result.roles)
    notes = tuple(check.text for check in result.checks if check.ok is None and check.name != "evidence")
    first = result.first
    if result.ok:
        seen = "" if result.decision == "GO" else f"; they signed a {result.decision} as seen"
        reason = f"all {len(result.roles)} roles have signed exactly this report{seen}"
        return Judgement(Verdict.PASS, reason, readings, notes, confirmed=True)
    why = first.text if first else f"not signed: {', '.join(result.missing) or 'no role is named to sign'}"
    others = sum(1 for check in result.checks if check.ok is False) - 1
    more = f" (and {others} more: `deploygate verify --all`)" if others > 0 else ""
    return Judgement(_verdict(result), f"{why}{more}", readings, notes)


def _verdict(result: VerifyResult) -> Verdict:
    wrong = {check.name for check in result.checks if check.ok is False}
    if not result.signed and wrong <= {"roles"}:
        return Verdict.NOT_COVERED
    if wrong == {"trust"} and not any(one.trusted for one in result.signed) and _no_file(result):
        return Verdict.INCONCLUSIVE
    return Verdict.FAIL


def _no_file(result: VerifyResult) -> bool:
    return any(check.text.startswith("trust not established") for check in result.checks if check.ok is False)


def _reading(role: str, result: VerifyResult) -> Reading:
    one = next((signed for signed in result.signed if signed.role == role), None)
    if one is None:
        return Reading(role, "not signed", limit="signed", ok=False)
    when = f" at {one.at:%Y-%m-%d %H:%M} UTC" if one.at else ""
    value = f"{one.name}{when}, key {one.key}" if one.key else "signature not valid"
    return Reading(role, value, limit="signed", ok=one.trusted)

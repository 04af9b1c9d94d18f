"""Approve or reject a deployment that waits for this gate."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import click

from pytest_deploygate.cli.shared import ended, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.clients import protection
from pytest_deploygate.decision import rules
from pytest_deploygate.redaction import Secret
from pytest_deploygate.report.leaving import leaving

#: The variable with the token. Names that CI sets by itself have tokens without the right to do this.
_TOKEN = "DEPLOYGATE_PROTECTION_TOKEN"  # noqa: S105 (a variable's name)
_APPROVED = (rules.EXIT_GO, rules.EXIT_WAIVERS)
_REJECTED = (rules.EXIT_FAILED, rules.EXIT_HOLD, rules.EXIT_ROLLBACK, rules.EXIT_BACK, rules.EXIT_BACK_FAILED)


class _Untold(click.ClickException):
    """Nobody was told, so the deployment still waits."""

    exit_code = rules.EXIT_INCOMPLETE


@click.command(cls=Command)
@options.change
@options.out
@click.option("--github", metavar="URL", help="GitHub's deployment_callback_url of the waiting deployment.")
@click.option("--environment", metavar="NAME", help="With --github: the environment that is protected.")
@click.option("--gitlab", metavar="URL", help="GitLab's address for the approval of the blocked deployment.")
@click.option("--since", metavar="TIME", help="The run must have begun at or after this time.")
def protect(
    *,
    change: str,
    out: Path | None,
    github: str | None,
    environment: str | None,
    gitlab: str | None,
    since: str | None,
) -> None:
    """Tell GitHub or GitLab whether a deployment that waits for this gate may go on.

    GO approves it. HOLD and ROLLBACK reject it. Without a decision, for a shard, or if the record is not as it was recorded, nobody is
    told: the deployment still waits. The token is read from DEPLOYGATE_PROTECTION_TOKEN: of a GitHub App's installation
    with the permission deployments write, or of a GitLab user who may approve.

    The exit code is that of the run. 25: nobody was told. 4: the address or the token must be set right first.

    \b
    deploygate protect --change CHG-1234 \\
      --environment production --github "$deployment_callback_url"
    deploygate protect --change CHG-1234 \\
      --gitlab "$CI_API_V4_URL/projects/$CI_PROJECT_ID/deployments/42/approval"
    """
    deployment = _deployment(github, environment, gitlab)
    token = os.environ.get(_TOKEN, "").strip()
    if not token:
        raise Refused(f"{_TOKEN} is not set: the deployment cannot be approved or rejected without a token")
    found = ended.of_change(change, out, ended.time_of(since))
    said = f"{found.decision or 'no decision'}, exit code {found.code}"
    if found.shard or not found.decision or found.code not in (*_APPROVED, *_REJECTED):
        why = "this is a part of a run: merge all first" if found.shard else "; ".join(found.reasons[:3])
        raise _Untold(leaving(f"nobody was told, so the deployment still waits: {said}: {why}"))
    approve = found.code in _APPROVED
    reasons = "; ".join(" ".join(reason.split()) for reason in found.reasons[:5])
    comment = leaving(f"deploygate, change {change}, {found.scope}: {said}: {reasons}")
    try:
        protection.tell(deployment, Secret(token), approve=approve, comment=comment)
    except protection.UntoldError as error:
        text = leaving(f"the deployment still waits: {error}")
        raise (Refused if error.mistake else _Untold)(text) from None
    click.echo(leaving(f"{'approved' if approve else 'rejected'}: change {change}: {said}"))
    raise SystemExit(found.code)


def _deployment(github: str | None, environment: str | None, gitlab: str | None) -> protection.Waiting:
    if bool(github) == bool(gitlab):
        raise Refused("name one waiting deployment: --github URL --environment NAME, or --gitlab URL")
    if bool(github) != bool(environment):
        raise Refused("--environment NAME goes with --github, and --github needs it")
    try:
        found = protection.waiting(
            "github" if github else "gitlab", github or gitlab or "", environment or ""
        )
    except protection.AddressError as error:
        raise Refused(leaving(str(error))) from None
    # A callback's address comes from outside: in a pipeline it must be of the system that runs it.
    own = os.environ.get("GITHUB_API_URL" if github else "CI_API_V4_URL", "")
    if own and urlsplit(own).netloc != urlsplit(found.url).netloc:
        raise Refused(
            leaving(f"{found.url} is not of {own}, which runs this pipeline; the token is not sent there")
        )
    return found

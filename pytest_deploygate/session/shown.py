"""What a run prints: what is gated, verdicts in pytest's own lines, and the decision at the end."""

from __future__ import annotations

import os
import textwrap

import pytest

from pytest_deploygate.decision import change_state
from pytest_deploygate.decision.rules import EXIT_INCOMPLETE
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import redact
from pytest_deploygate.session import outcome, scope
from pytest_deploygate.session.progress import PROGRESS
from pytest_deploygate.session.settings import SETTINGS
from pytest_deploygate.session.writing import CODE, RECORD, RUN, UNREADABLE


def quieten(config: pytest.Config) -> None:
    """Show reasons in our summary and tracebacks in the evidence only, unless the command line asks for more."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # -p no:terminal: its options do not exist either
        return
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if config.option.reportchars == "fE":
        reporter.reportchars = ""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print what is gated."""
    found = config.stash[SETTINGS]
    run = config.stash.get(RUN, None)
    in_scope = f"{found.scope_words or scope.WHOLE} ({len(found.scope_items)} items)"
    lines = [
        f"deploygate: inventory {found.inventory.name}, change {found.change}, scope {in_scope}",
    ]
    if found.shard:
        lines.append(
            f"deploygate: {found.shard.words} ({found.shard.said_by}): its part only; `deploygate merge` decides"
        )
    if found.base:
        lines.append(
            f"deploygate: checklist, inventory, tests and records are those of {found.base.words}, "
            f"not of {found.source.commit[:12] or 'this folder'}"
        )
    lines += [
        f"deploygate: `kill -USR1 {os.getpid()}` ends every probe within a second, or",
        f"  touch {found.stop_file}",
    ]
    lines += [f"deploygate: {remark}" for remark in found.remarks]
    if run and run.change_state:
        lines.append(f"deploygate: {change_state.judge(run.change_state, (run.change_state.read_at,)).text}")
    lines += [f"deploygate: {one.words}" for one in found.records.aside]
    lines += [f"inventory: {note}" for note in found.loaded.notes]
    lines += [
        f"inventory: {key}: {len(data)} listed from elsewhere" for key, data in found.loaded.listed.items()
    ]
    lines += [f"deploygate: {one}" for one in found.weak_secrets]
    lines += [f"checklist: {remark}" for remark in found.checklist.remarks[:5]]
    lines += [f"checklist: {found.without}"] if found.without else []
    if run and run.moved_aside:
        lines.append(f"deploygate: the previous journal was moved to {run.moved_aside}")
    if run and found.resume:
        lines.append(f"deploygate: resuming, keeping {len(run.kept)} tests that were good in the last run")
    lines += [f"deploygate: {why}" for why in run.why_not_kept] if run else []
    return lines


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Show our verdicts in pytest's own lines; print no letters while the live line runs."""
    status = outcome.status(report) if isinstance(report, pytest.TestReport) else None
    if PROGRESS in config.stash and isinstance(report, pytest.TestReport):
        if status:
            return status[0], "", status[2]
        if report.when == "call" and report.passed:
            return "passed", "", "PASSED"
    return status


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print errors, what is not a pass, then the decision with its reasons."""
    # Only the end of a run needs these, and workers do not.
    from pytest_deploygate.report import beside, terminal  # noqa: PLC0415
    from pytest_deploygate.session import last_line  # noqa: PLC0415

    record = config.stash.get(RECORD, None)
    if record is None:
        if unreadable := config.stash.get(UNREADABLE, None):
            text = f"HOLD: nothing was decided (exit code {EXIT_INCOMPLETE}): {one_line(unreadable)}"
            terminalreporter.write_line(text, red=True)
        return
    _print_broken(terminalreporter)
    run = config.stash[RUN]
    # Another plugin may have set another status since: what is printed is what the process will end with.
    session = config.pluginmanager.get_plugin("session")
    code = int(session.exitstatus) if session is not None else config.stash[CODE]
    writer = terminalreporter._tw  # noqa: SLF001 (the one way to pytest's own output stream)
    terminalreporter.write_line("")
    terminalreporter.write_line(
        terminal.text(
            record,
            str(run.settings.out / "signoff.html") if run.written else "",
            width=min(writer.fullwidth, 120),
            colour=writer.hasmarkup,
            exit_code=code,
            beside=beside.look(run.settings.out, record.provenance.journal_head),
        )
    )
    last_line.replace(terminalreporter, record, code)
    for complaint in run.complaints:
        terminalreporter.write_line(f"{complaint} (no verdict or decision improves because of it)")


def _print_broken(reporter: pytest.TerminalReporter) -> None:
    """Print what pytest's own sections would show: files that cannot be collected, and failures without a finding."""
    if reporter.config.option.tbstyle != "no":
        return
    broken = [*reporter.stats.get("error", []), *reporter.stats.get("failed", [])]
    for report in broken:
        if not hasattr(report, outcome.VERDICT) and report.longrepr:
            from pytest_deploygate.report.leaving import plain  # noqa: PLC0415 (for runs with such failures)

            reporter.write_sep("_", one_line(report.nodeid), red=True)
            # Indented: what a test prints cannot look like a line of ours.
            reporter.write_line(textwrap.indent(plain(redact(str(report.longrepr))), "  "))

"""The systems that tests attach to, and the command between a project and one of them. No tests here."""

from __future__ import annotations

from pathlib import Path

import yaml
from click.testing import CliRunner
from tickets_servers import TOKEN, GitHub, GitLab, Jira, ServiceNow

from pytest_deploygate.cli import main


class DataCenter(Jira):
    cloud = False


#: Each system with the key of its ticket.
SYSTEMS = {
    "servicenow": (ServiceNow, "CHG0030001"),
    "jira-cloud": (Jira, "OPS-42"),
    "jira-data-center": (DataCenter, "OPS-42"),
    "github": (GitHub, "42"),
    "gitlab": (GitLab, "42"),
}


class Desk:
    """A project, a system with tickets, and the command between them."""

    def __init__(self, project: Path, system, key: str) -> None:
        self.project, self.system, self.key = project, system, key
        self.folder = project / "deploygate-out" / "CHG-1"
        self.configure()

    def configure(self, **more: object) -> None:
        entry = {**self.system.entry, "settle": "200ms", "timeout": "60s", **more}
        (self.project / "inventories" / "small.yml").write_text(
            yaml.safe_dump({"name": "small", "tickets": [entry]})
        )

    @property
    def ticket(self) -> str:
        return f"{self.system.entry['system']}:{self.key}"

    def attach(self, *words: str):
        done = CliRunner().invoke(main, ["attach", "--change", "CHG-1", "--ticket", self.ticket, *words])
        assert TOKEN not in done.output
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def whole(self) -> None:
        """Assert that the ticket has everything once."""
        assert self.system.complaints == []
        names = sorted(self.system.attached() if hasattr(self.system, "attached") else self.system.names())
        assert [name.partition("-")[0] for name in names] == ["evidence", "signoff"], names
        assert len(self.system.comments) == 1, self.system.comments

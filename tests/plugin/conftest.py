from __future__ import annotations

import pytest
from project import GOOD, Project

# The modules of a run stay loaded between runs in one process, so that each run starts quickly. Those that
# a run imports lazily must stay too: pytester drops what a run imported, and would import it twice.
import pytest_deploygate.report.terminal
import pytest_deploygate.session.hooks
import pytest_deploygate.session.html_table
import pytest_deploygate.session.incident_actions
import pytest_deploygate.session.run
import pytest_deploygate.session.sign_off  # noqa: F401
from pytest_deploygate import redaction


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(redaction, "_known", ())
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Project(pytester.path, pytester)


@pytest.fixture
def good(project: Project) -> Project:
    """A project in which phase2 passes."""
    project.suite(GOOD)
    return project

"""`--html FILE`: pytest-html shows the decision and verdicts, what is missing, and ids as text."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from project import GOOD, Project


def page(project: Project, *args: str) -> str:
    """Run phase2 with pytest-html in its own process and return the page."""
    project.run_process("-m", "phase2", "--html", "table.html", "--self-contained-html", *args)
    return (project.path / "table.html").read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Return the HTML of each row's cells and details, as read by the page's script, by node id."""
    blob = html.unescape(re.search(r'data-jsonblob="([^"]*)"', text)[1])
    return {
        test: [*one["resultsTableRow"], one["log"]]
        for test, some in json.loads(blob)["tests"].items()
        for one in some
    }


def test_the_decision_stands_on_top_and_findings_in_the_rows(project: Project) -> None:
    project.suite(GOOD.replace("says(gate)", 'says(gate, "fail", "worse <b>than</b> wanted", 7)', 1))
    text = page(project)
    assert "deploygate: HOLD, Do not proceed." in text
    assert "signoff.html" in text
    assert "THIS TABLE IS INCOMPLETE" not in text
    found = next(cells for test, cells in rows(text).items() if "test_migrations" in test)
    assert '<td class="col-verdict">fail</td>' in found
    assert "b.migrations: fail" in found[-1]
    assert "worse &lt;b&gt;than&lt;/b&gt; wanted" in found[-1]
    assert "n: 7" in found[-1]
    assert "evidence evidence/" in found[-1]


def test_an_id_with_html_stays_text(project: Project) -> None:
    project.suite(
        GOOD.replace('["users", "alerts"]', "['<script>alert(1)</script>', '<img src=x onerror=alert(2)>']")
    )
    cells = [cell for row in rows(page(project)).values() for cell in row]
    assert any("&lt;script&gt;alert(1)&lt;/script&gt;" in cell for cell in cells)
    assert not any("<script" in cell or "<img" in cell for cell in cells)


def test_a_crashed_worker_is_named_though_pytest_html_counts_no_failure(project: Project) -> None:
    project.suite(
        GOOD.replace(
            "def test_notes(gate):", "def test_notes(gate):\n    os.kill(os.getpid(), signal.SIGKILL)"
        )
    )
    text = page(project, "-n", "2", "--max-worker-restart=0")
    assert "THIS TABLE IS INCOMPLETE" in text
    loud = text[text.index("THIS TABLE IS INCOMPLETE") :][:600]
    assert "test_notes" in loud
    assert "deploygate: HOLD" in text


def test_a_test_that_was_left_out_is_named(project: Project) -> None:
    project.suite(GOOD)
    loud = page(project, "-k", "not notes").split("THIS TABLE IS INCOMPLETE")[1][:600]
    assert "1 test without a result is not counted below" in loud
    assert "test_notes" in loud


def test_without_a_gate_pytest_html_is_left_alone(project: Project) -> None:
    (project.path / "suites" / "test_plain.py").write_text("def test_it():\n    pass\n")
    project.run_process("suites/test_plain.py", "--html", "table.html", gate=False)
    text = Path(project.path / "table.html").read_text(encoding="utf-8")
    assert "col-verdict" not in text
    assert "deploygate: " not in text

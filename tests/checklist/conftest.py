from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.parser import Checklist

CHECKLIST = """\
## Preflight {#preflight .security}
- [ ] Security audit completed {#sec.audit .manual role=security-lead}
- [ ] Penetration testing passed {#sec.pentest .critical .manual}
- [ ] Restore {#db.restore .critical .non-waivable}
- [ ] Pooling {#db.pooling}
- [ ] DDoS protection {#sec.ddos .hybrid}
## Sign-off {.sign-off}
- [ ] Deployment lead: ____
- [ ] Technical lead: ____
"""


@pytest.fixture
def checklist(tmp_path: Path) -> Checklist:
    file = tmp_path / "checklist.md"
    file.write_text(CHECKLIST)
    return parser.load(file)

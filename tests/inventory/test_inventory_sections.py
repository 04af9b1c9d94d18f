from __future__ import annotations

import subprocess
import sys

#: In its own process: reading one inventory completes every model, which would hide the problem.
INCOMPLETE = """
from pytest_deploygate.fields.types import Section
from pytest_deploygate.inventory import sections

def below(model):
    for inner in model.__subclasses__():
        yield inner
        yield from below(inner)

sections.declared()
print([model.__name__ for model in below(Section) if not model.__pydantic_fields_complete__])
"""


def test_every_section_is_complete_once_its_module_is_imported():
    """Keys in an incomplete model (`personal_table`) would be missing from the names that tests can use."""
    ran = subprocess.run([sys.executable, "-c", INCOMPLETE], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

from __future__ import annotations

import subprocess
import sys

from pytest_deploygate import checks
from pytest_deploygate.fields.types import DatabaseKeys, InventoryKeys
from pytest_deploygate.inventory import models

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


def test_no_subject_hides_what_another_checks():
    """Subjects' keys are put together by inheritance: of two methods with one name only one would be called."""
    for kind in (InventoryKeys, DatabaseKeys):
        own = [
            (name, keys.__module__)
            for subject in checks.subjects()
            for keys in models.keys_of(subject, kind)
            for name in vars(keys)
            if name in keys.__pydantic_decorators__.model_validators
        ]
        assert len({name for name, _ in own}) == len(own), sorted(own)

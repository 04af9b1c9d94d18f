"""What leaves the report layer is masked, and one record is masked once."""

from __future__ import annotations

import dataclasses

import pytest
import sample

from pytest_deploygate import redaction
from pytest_deploygate.redaction import Secret
from pytest_deploygate.report import leaving, results


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Forget the secrets of earlier tests."""
    monkeypatch.setattr(redaction, "_known", ())
    monkeypatch.setattr(redaction, "_weak", {})


def test_all_outputs_of_a_run_mask_its_record_once(monkeypatch):
    """A record of thousands of findings has some hundred thousand values to look at."""
    looked, collect = [], leaving._cleaned
    monkeypatch.setattr(leaving, "_cleaned", lambda record: looked.append(record) or collect(record))
    record = dataclasses.replace(sample.hold(), change="another")
    results.render(record)
    leaving.cleaned(leaving.cleaned(record))
    assert looked == [record]


def test_a_secret_that_becomes_known_later_is_masked_too():
    record = dataclasses.replace(sample.hold(), description="the key is xyzzy-plugh")
    assert leaving.cleaned(record).description == "the key is xyzzy-plugh"
    Secret("xyzzy-plugh")
    assert leaving.cleaned(record).description == "the key is [secret]"
    assert leaving.cleaned(dataclasses.replace(record, change="CHG-9")).change == "CHG-9"

"""Pictures of pages in the journal and the report: bounded, and nothing else than a picture."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from pytest_deploygate.journal import finding_to_json
from pytest_deploygate.journal.plain import finding_from_json
from pytest_deploygate.model import MOST_OF_A_THUMBNAIL, Finding, Picture, Verdict
from pytest_deploygate.report.plots import pages
from pytest_deploygate.report.plots.figures import drawn
from pytest_deploygate.session.gate import plain

PICTURE = Picture("the plant, after 'opens'", "UklGRg==", 640, 400, "evidence/page--abc.png", "a" * 64)


def test_a_picture_is_drawn_with_its_title_and_where_the_whole_one_is():
    found = drawn(PICTURE)
    assert found.title == "the plant, after 'opens'"
    assert found.words == ("whole picture: evidence/page--abc.png",)
    assert 'src="data:image/webp;base64,UklGRg=="' in found.picture
    assert 'width="640" height="400"' in found.picture


@pytest.mark.parametrize(
    "thumbnail", ["", "x" * (MOST_OF_A_THUMBNAIL + 4), 'UklG" onerror="alert(1)', "<svg>"]
)
def test_what_is_no_thumbnail_is_not_put_into_the_page(thumbnail: str):
    assert pages.draw(dataclasses.replace(PICTURE, thumbnail=thumbnail)) == "<p>no thumbnail</p>"


def test_a_title_cannot_end_the_attribute_that_it_is_in():
    drawn_ = pages.draw(dataclasses.replace(PICTURE, title='" onload="alert(1)'))
    assert '" onload="' not in drawn_


def test_a_picture_comes_back_from_the_journal():
    finding = Finding(
        "a", "", Verdict.PASS, "", "t", datetime(2026, 11, 29, tzinfo=UTC), 0.0, figures=(PICTURE,)
    )
    assert finding_from_json(finding_to_json(finding)).figures == (PICTURE,)


def test_a_measurement_has_no_thumbnail():
    assert "thumbnail" not in plain(PICTURE)
    assert plain(PICTURE)["path"] == "evidence/page--abc.png"

"""Which formats there are and how a record becomes one."""

from __future__ import annotations

from pytest_deploygate.report import html, junit, verdicts
from pytest_deploygate.report.exports import ctrf, github, gitlab, hdf, in_toto, markdown, sarif

#: Each function takes a record and returns the whole text of a file.
FORMATS = {
    "html": html.render,
    "json": verdicts.text,
    "junit": junit.build,
    "markdown": markdown.text,
    "sarif": sarif.text,
    "ctrf": ctrf.text,
    "hdf": hdf.text,
    "in-toto": in_toto.text,
    "github": github.text,
    "gitlab-codequality": gitlab.text,
}

"""What a reason says of Playwright's errors: their text with its log, as version 1.65 prints it."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.journeys.probe.journey import said

LOCATOR = 'get_by_role("button", name="Go")'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"Locator.click: Timeout 10000ms exceeded.\nCall log:\n  - waiting for {LOCATOR}\n",
            f"Locator.click: Timeout 10000ms exceeded, waiting for {LOCATOR}",
        ),
        (
            f"Locator.click: Timeout 700ms exceeded.\nCall log:\n  - waiting for {LOCATOR}\n    - locator resolved to "
            "<button disabled>Go</button>\n    2 × waiting for element to be visible, enabled and stable\n"
            "      - element is not enabled\n    - retrying click action\n      - waiting 100ms\n",
            f"Locator.click: Timeout 700ms exceeded, waiting for {LOCATOR}, element is not enabled",
        ),
        (
            f"Locator.click: Timeout 700ms exceeded.\nCall log:\n  - waiting for {LOCATOR}\n"
            '      - <div id="cover"></div> intercepts pointer events\n    - retrying click action\n',
            f'Locator.click: Timeout 700ms exceeded, waiting for {LOCATOR}, <div id="cover"></div> intercepts pointer events',
        ),
        (
            "Locator expected to have text 'Ho'\nActual value: Hi \nCall log:\n"
            f'  - Expect "to_have_text" {LOCATOR} with timeout 300ms\n  - waiting for {LOCATOR}\n'
            '    7 × locator resolved to <b>Hi</b>\n\nAria snapshot:\n- heading "Hi" [level=1]',
            f"Locator expected to have text 'Ho', waiting for {LOCATOR}; Actual value: Hi",
        ),
        (
            f"Locator.click: Error: strict mode violation: {LOCATOR} resolved to 2 elements:\n    1) <b>a</b>\n\n"
            f"Call log:\n  - waiting for {LOCATOR}\n",
            f"Locator.click: Error: strict mode violation: {LOCATOR} resolved to 2 elements:; 1) <b>a</b>",
        ),
        ("assert False", "assert False"),
        ("", "AssertionError"),
        ("\nCall log:\n  - waiting for x\n", "AssertionError"),
    ],
)
def test_words_of_an_error(text, words):
    assert said(AssertionError(text)) == words

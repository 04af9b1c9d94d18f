"""Lines without markup are not parsed a second time: their text is what parsing them would have given."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_deploygate.checklist import markdown

#: Characters that mean something in CommonMark, and some that do not.
_CHARACTERS = st.sampled_from(list("ab é  \t[]xX()*_`~\\!<>&;#{}.:|-+=\"'0\n\u00a0\u200b\x0c"))
_LINES = st.lists(st.text(_CHARACTERS, max_size=20).map(lambda text: f"- [ ] {text}"), max_size=6).map(
    "\n".join
)


@given(st.one_of(_LINES, st.text(_CHARACTERS, max_size=80)))
@example("- [x] see [x] and more\n\n[x]: https://example.com\n")
@example("- [ ] a &amp; b\n- [ ] a\\_b\n- [X] `x`  {#a.b}\n")
def test_a_line_is_read_as_if_all_were_parsed(text):
    found = list(markdown.lines(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "_MARKUP", re.compile(""))
        assert found == list(markdown.lines(text))

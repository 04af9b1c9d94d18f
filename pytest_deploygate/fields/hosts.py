"""Words that stand for hosts wherever a section names them, besides the names and roles of the section `hosts`."""

from __future__ import annotations

#: All hosts, of whichever role.
ALL = "all"
#: The machine that runs the gate.
HERE = "here"

"""Tickets in ServiceNow: the Table API and the Attachment API.

https://www.servicenow.com/docs/r/zurich/api-reference/rest-apis/c_AttachmentAPI.html
https://www.servicenow.com/docs/r/zurich/api-reference/rest-apis/c_TableAPI.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.clients.tickets import asking
from pytest_deploygate.clients.tickets.asking import MistakeError, Sent, ask
from pytest_deploygate.clients.tickets.ticket import PAGE, PAGES, Attached, File, Limits
from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker

#: The documented default of `com.glide.attachment.max_size`, which few logins may read.
_DEFAULT_MB = 1024
_LARGEST, _EXTENSIONS = "com.glide.attachment.max_size", "glide.attachment.extensions"
_MB = 1024 * 1024
#: Values of `state` of a change that is Scheduled or in Implement, whatever language a user reads.
_SCHEDULED = ("-2", "-1")
_READ = "sys_id,number,state,approval,on_hold,start_date,end_date,work_notes"


class Change:
    """One record of the table, as a rule `change_request`."""

    by_comment = False

    def __init__(self, tracker: Tracker, key: str) -> None:
        """Look the record up by its number. Raises TicketError."""
        self.tracker, self.key = tracker, key
        self._id = _value(self._record(), "sys_id")
        if not re.fullmatch(r"[0-9a-f]{32}", self._id):
            raise MistakeError(f"{asking.called(tracker)}: {key} has no sys_id that can be read")

    def limits(self) -> Limits:
        """Return what can be attached, by the system's properties if this login may read them, else by their defaults."""
        question = {
            "sysparm_query": f"name={_LARGEST}^ORname={_EXTENSIONS}",
            "sysparm_fields": "name,value",
            "sysparm_limit": "2",
        }
        answer = ask(
            self.tracker,
            "GET",
            "/api/now/table/sys_properties",
            question=question,
            known=(200, 401, 403, 404),
        )
        said = {str(one.get("name")): str(one.get("value", "")) for one in _rows(answer.document)}
        largest, known_by = _DEFAULT_MB, f"ServiceNow's default, because this login may not read {_LARGEST}"
        if said.get(_LARGEST, "").strip().isdigit():
            largest, known_by = int(said[_LARGEST]), _LARGEST
        allowed = tuple(one.strip().lower() for one in said.get(_EXTENSIONS, "").split(",") if one.strip())
        return Limits(largest * _MB, known_by, allowed)

    def attached(self) -> Sequence[Attached]:
        """Return the record's attachments."""
        found: list[Attached] = []
        for page in range(PAGES):
            question = {
                "sysparm_query": f"table_name={self.tracker.table}^table_sys_id={self._id}",
                "sysparm_limit": str(PAGE),
                "sysparm_offset": str(page * PAGE),
            }
            answer = ask(self.tracker, "GET", "/api/now/attachment", question=question)
            rows = _rows(answer.document, self.tracker)
            found += [_attached(one) for one in rows]
            if len(rows) < PAGE:
                break
        return found

    def attach(self, file: File) -> str:
        """Send a file as the body of one request."""
        question = {"table_name": self.tracker.table, "table_sys_id": self._id, "file_name": file.name}
        with file.path.open("rb") as stream:
            ask(
                self.tracker,
                "POST",
                "/api/now/attachment/file",
                question=question,
                sent=Sent(stream, file.content_type, file.size),
                known=(201,),
            )
        return ""

    def has_comment(self, mark: str) -> bool:
        """Look in the work notes, whose display value has all entries. Raises MistakeError if they cannot be read."""
        notes = self._record().get("work_notes")
        if not isinstance(notes, dict):
            raise MistakeError(
                f"{asking.called(self.tracker)}: this login may not read the work notes of {self.key}, so it cannot be told "
                "whether the comment is there"
            )
        return mark in str(notes.get("display_value") or "") or mark in str(notes.get("value") or "")

    def comment(self, plain: str, markdown: str) -> None:  # noqa: ARG002 (work notes are text)
        """Add a work note."""
        ask(
            self.tracker,
            "PATCH",
            f"/api/now/table/{self.tracker.table}/{self._id}",
            question={"sysparm_fields": "sys_id"},
            sent=asking.document({"work_notes": plain}),
        )

    def state(self) -> ChangeState:
        """Return approval, state and planned window (which the API has in UTC)."""
        record, own = self._record(), self.tracker
        state, approval = _both(record, "state"), _both(record, "approval")
        on_hold = _value(record, "on_hold") == "true"
        said = f"state {state[0]}, approval {approval[0]}" + (", on hold" if on_hold else "")
        scheduled = state[1] in _SCHEDULED if not own.scheduled else bool({*state} & {*own.scheduled})
        return ChangeState(
            ticket=f"{own.called}:{self.key}",
            read_at=datetime.now(UTC),
            said=said,
            approved=bool({*approval} & {*(own.approved or ["approved"])}),
            scheduled=scheduled and not on_hold,
            window=(_time(_value(record, "start_date")), _time(_value(record, "end_date"))),
        )

    def _record(self) -> dict[str, Any]:
        question = {
            "sysparm_query": f"number={self.key}",
            "sysparm_fields": _READ,
            "sysparm_display_value": "all",
            "sysparm_limit": "2",
        }
        answer = ask(self.tracker, "GET", f"/api/now/table/{self.tracker.table}", question=question)
        rows = _rows(answer.document, self.tracker)
        if len(rows) != 1:
            why = "or this login may not see it" if not rows else "but more than one of that number"
            raise MistakeError(
                f"{asking.called(self.tracker)} has no ticket {self.key} in {self.tracker.table}, {why}"
            )
        return rows[0]


def _rows(document: object, tracker: Tracker | None = None) -> list[dict[str, Any]]:
    """Return the rows of an answer. Without a tracker, none if it has no rows. Raises MistakeError."""
    rows = document.get("result") if isinstance(document, dict) else None
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    if tracker is None:
        return []
    raise MistakeError(f"{asking.called(tracker)} returned no rows: check `url` and `table`")


def _both(record: dict[str, Any], name: str) -> tuple[str, str]:
    """Return a field as people see it and as it is stored."""
    field = record.get(name)
    if not isinstance(field, dict):
        return "(not readable)", ""
    return str(field.get("display_value") or "(empty)"), str(field.get("value") or "")


def _value(record: dict[str, Any], name: str) -> str:
    return _both(record, name)[1]


def _attached(row: dict[str, Any]) -> Attached:
    size, digest = str(row.get("size_bytes", "")), str(row.get("hash", "")).lower()
    return Attached(
        str(row.get("file_name", "")),
        int(size) if size.isdigit() else None,
        digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None,
    )


def _time(value: str) -> datetime | None:
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None

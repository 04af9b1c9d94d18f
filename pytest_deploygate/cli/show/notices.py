"""What `deploygate notify send` prints: who would get what, what became of each message, and what is open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pytest_deploygate.notices.preparing import Standing
from pytest_deploygate.notices.record import Known, State
from pytest_deploygate.notices.sending import Sent
from pytest_deploygate.problems import one_line

_SHORT = 8


def name(one: Known) -> str:
    """Return a message as it is called: its id, its notice and its recipient."""
    return f"{one.notice.id[:_SHORT]}  {one.notice.template} to {one.notice.called}"


def line(sent: Sent) -> str:
    """Return what became of a message that was just tried."""
    return one_line(f"  {sent.outcome.state.value:<9}  {name(sent.known)}: {sent.outcome.said}")


def planned(stands: Sequence[Standing], others: Sequence[Known], *, as_json: bool) -> str:
    """Return who would get what, and what else would be tried again."""
    if as_json:
        would = [
            {
                "id": one.id,
                "notice": one.ready.template.name,
                "to": one.ready.recipient.called,
                "language": one.ready.recipient.language,
                "timezone": one.ready.recipient.zone,
                "subject": one.ready.rendered.subject,
                "now": _now(one),
            }
            for one in stands
        ]
        return _json({"would": would, "open": [_plain(one) for one in others]})
    lines = []
    for one in stands:
        to = one.ready.recipient
        lines.append(
            f"  {_now(one):<9}  {to.called} ({to.language}, {to.zone}): {one.ready.rendered.subject}"
        )
    lines += [
        f"  {'again' if known.state is State.WAITING else 'ask':<9}  {name(known)}: {known.said}"
        for known in others
    ]
    send = sum(_now(one) == "send" for one in stands) + sum(one.state is State.WAITING for one in others)
    lines.append(f"{send} would be sent; nothing was sent, as this is a dry run")
    return "".join(f"{one_line(each)}\n" for each in lines)


def _now(one: Standing) -> str:
    """Return what would be done with a message: `send`, `again`, or nothing because of its state."""
    if one.known is None:
        return "send"
    return {State.WAITING: "again", State.UNCERTAIN: "ask"}.get(one.known.state, one.known.state.value)


def ended(known: Sequence[Known], *, as_json: bool) -> str:
    """Return the state of messages, in figures, and what a person has to do next."""
    number = {state: sum(one.state is state for one in known) for state in State}
    if as_json:
        return _json(
            {"messages": [_plain(one) for one in known], **{state.value: n for state, n in number.items()}}
        )
    if not known:
        return "nothing is waiting\n"
    lines = [", ".join(f"{n} {state.value}" for state, n in number.items() if n)]
    if number[State.REFUSED]:
        lines += [f"refused: {name(one)}: {one.said}" for one in known if one.state is State.REFUSED]
        lines.append(
            "mend the address, or reach them in another way; `--again --reason TEXT` tries the same one again"
        )
    if number[State.WAITING]:
        lines.append("what waits is tried again by `deploygate notify send` (`--wait 30m` keeps trying)")
    if number[State.UNCERTAIN]:
        lines += [f"uncertain: {name(one)}: {one.said}" for one in known if one.state is State.UNCERTAIN]
        lines.append(
            "ask these whether it arrived, then add `--sent ID` or `--not-sent ID`; it is not sent twice by guess"
        )
    return "".join(f"{one_line(each)}\n" for each in lines)


def _plain(one: Known) -> dict[str, Any]:
    return {
        "id": one.notice.id,
        "notice": one.notice.template,
        "audience": one.notice.audience,
        "to": one.notice.called,
        "state": one.state.value,
        "said": one.said,
        "tries": one.tries,
        "at": one.at.isoformat() if one.at else "",
    }


def _json(plain: object) -> str:
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"

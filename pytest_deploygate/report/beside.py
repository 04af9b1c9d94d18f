"""What a change's folder says beside its journal about the next step: signatures, tickets, notices."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.report.due import Beside

#: Where notices wait that could not be sent yet.
QUEUE = Path("notices", "queue")
#: Where `deploygate attach` keeps what it did.
TICKETS = "tickets"


def look(folder: Path, head: str, signed: tuple[str, ...] = ()) -> Beside:
    """Return what was done with the report of this head of the journal. `signed` are roles whose signature is there."""
    return Beside(signed=signed, attached=_attached(folder, head), notices=notices_wait(folder))


def _attached(folder: Path, head: str) -> bool:
    if not (folder / TICKETS).is_dir():
        return False
    from pytest_deploygate.clients.tickets.log import commented  # noqa: PLC0415 (only for changes with a ticket)

    return commented(folder, head)


def notices_wait(folder: Path) -> bool:
    """Tell whether notices of this change wait to be sent."""
    place = folder / QUEUE
    return place.is_dir() and any(place.iterdir())

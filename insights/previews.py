"""How the rows of an import read before they are kept: as a table of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core import formats
from core.money import Money
from customers.mapping import RowProblem
from customers.records import CustomerFields, Record

_LABELS: Final = {
    "key": _l("Told apart by"),
    "reference": _l("Reference"),
    "occurred_at": _l("When"),
    "answered_at": _l("When answered"),
    "received_at": _l("When received"),
    "resolved_at": _l("When resolved"),
    "touchpoint": _l("Touchpoint"),
    "channel": _l("Channel"),
    "value": _l("Money at stake"),
    "staff": _l("Staff member"),
    "status": _l("Status"),
    "score": _l("Score"),
    "missing": _l("Why no score"),
    "comment": _l("Comment"),
    "text": _l("What happened"),
    "category": _l("Category"),
    "product": _l("Product"),
    "language": _l("Language"),
    "state": _l("State"),
    "reopened": _l("Disputed"),
    "customer": _l("Customer"),
    "attributes": _l("Kept beside it"),
}
LONGEST: Final = 160


@dataclass(frozen=True)
class Line:
    """One row: its line in the file, its cells under the table's columns, or why it is refused."""

    number: int
    cells: list[str]
    problems: list[RowProblem]


@dataclass(frozen=True)
class Preview:
    head: list[str]
    lines: list[Line]


def table(rows: Sequence[tuple[int, Record | list[RowProblem]]]) -> Preview:
    """Return the rows as a table of the fields that any of them has."""
    told = {line: _told(found) for line, found in rows if not isinstance(found, list)}
    names = [name for name in _LABELS if any(cells.get(name) for cells in told.values())]
    lines = [
        Line(line, [], found)
        if isinstance(found, list)
        else Line(line, [told[line].get(name, "") for name in names], [])
        for line, found in rows
    ]
    return Preview([str(_LABELS[name]) for name in names], lines)


def _told(record: Record) -> dict[str, str]:
    return {name: _text(getattr(record, name)) for name in _LABELS if hasattr(record, name)}


def _text(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return _("yes")
    if isinstance(value, datetime):
        return f"{formats.day(value, 'dated')}, {formats.time(value)}"
    if isinstance(value, Money):
        return formats.money(value.amount_minor, value.currency)
    if isinstance(value, CustomerFields):
        return ", ".join(text for text in asdict(value).values() if text)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {text}" for name, text in value.items())[:LONGEST]
    text = formats.number(value) if isinstance(value, int) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

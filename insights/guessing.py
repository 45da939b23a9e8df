"""What a file's headers and samples suggest: which kind it is, and which column is what (insights.matching). Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from customers.looks import Column, Look
from customers.mapping_format import ALLOWED, Kind
from insights.matching import AUTO, CUSTOMER, Slot, slots_of

_RESPONSE_WORDS: Final = ("score", "rating", "nps", "netpro", "csat", "stars", "recommend", "satisf")
_COMPLAINT_WORDS: Final = ("complaint", "issue", "narrative", "disputed", "grievance")


def likeliest_kind(look: Look) -> Kind:
    """Return what a file's headers say it holds."""
    headers = [_bare(name) for name in look.headers]

    def speaks_of(words: Sequence[str]) -> int:
        return sum(any(word in header for word in words) for header in headers)

    complaints, responses = speaks_of(_COMPLAINT_WORDS), speaks_of(_RESPONSE_WORDS)
    if complaints > responses:
        return Kind.COMPLAINTS
    return Kind.RESPONSES if responses else Kind.INTERACTIONS


def guessed(kind: Kind, look: Look, *, zone: str) -> dict[str, Any]:
    """Return what would be typed if every header meant what it says; what is not clear stays blank."""
    typed: dict[str, Any] = {"zone": zone, **_settings_guessed(look)}
    taken: set[str] = set()
    for slot in slots_of(kind):
        column = _likeliest(slot, look, set() if slot.name == "category" else taken)
        if column is None:
            continue
        if slot.name != "category":  # often the same column as the text
            taken.add(column.name)
        typed[f"{slot.slug}__column"] = column.name
        if slot.is_moment:
            typed[f"{slot.slug}__format"] = column.formats[0] if len(column.formats) == 1 else AUTO
        if "map" in slot.parts:
            typed |= _map_guessed(slot, column)
    return typed | _kind_guessed(kind, look, typed)


def _settings_guessed(look: Look) -> dict[str, Any]:
    return {"encoding": look.layout.get("encoding", ""), "delimiter": look.layout.get("delimiter", ",")}


def _kind_guessed(kind: Kind, look: Look, typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the guesses that rest on others: the metric, the second column of a text, the key."""
    found: dict[str, Any] = {}
    if kind is Kind.RESPONSES:
        found["metric"] = _metric_guessed(look.column(str(typed.get("score__column", ""))))
    if kind is Kind.COMPLAINTS and (first := typed.get("text__column")):
        found["text__second"] = next((name for name in look.headers if _bare(name) == f"sub{_bare(first)}"), "")
    if typed.get("value_amount__column") and not typed.get("value_currency__column"):
        found["value_currency__value"] = "EUR"
    if kind is not Kind.INTERACTIONS:
        found["key"] = _key_guessed(kind, look, typed)
    return found


def _likeliest(slot: Slot, look: Look, taken: set[str]) -> Column | None:
    """Return the column whose header says the field best, an exact word before a word within."""
    best: tuple[int, int] | None = None
    found = None
    for column in look.columns:
        header = _bare(column.name)
        if not header or column.name in taken or (slot.is_moment and not column.formats):
            continue
        for rank, word in enumerate(slot.words):
            likeness = int(header == word) if slot in CUSTOMER else _likeness(header, word)
            if likeness and (best is None or (likeness, -rank) > best):
                best, found = (likeness, -rank), column
    if found is None and slot.is_moment and slot.needed:
        return next((column for column in look.columns if column.formats and column.name.strip()), None)
    return found


def _likeness(header: str, word: str) -> int:
    if header == word:
        return 3
    if len(word) < 4:
        return 0
    return 2 if header.endswith(word) else 1 if word in header and len(word) > 5 else 0


def _map_guessed(slot: Slot, column: Column) -> dict[str, Any]:
    """Return the map from a column's few values to those that the field may have."""
    if slot.name not in ALLOWED or column.values is None:
        return {}
    lines = [f"{value} = {meant}" for value in column.values if (meant := _meant(slot.name, value))]
    return {f"{slot.slug}__map": "\n".join(lines), f"{slot.slug}__unlisted": "refuse"}


def _meant(name: str, value: str) -> str:
    text = _bare(value)
    if name == "reopened":
        return "yes" if text in ("yes", "y", "true", "1") else "no"
    if name == "status":
        return "started" if text in ("started", "abandoned", "pending", "incomplete") else "completed"
    is_open = text in ("open", "new", "pending", "inprogress", "waiting", "onhold")
    return "open" if is_open else "resolved"


def _metric_guessed(column: Column | None) -> str:
    if column is None:
        return "nps"
    header = _bare(column.name)
    named = {
        "nps": ("nps", "recommend", "netpro"),
        "ces": ("ces", "effort", "easy"),
        "csat": ("csat", "satisf", "star"),
    }
    for metric, words in named.items():
        if any(word in header for word in words):
            return metric
    highest = max((int(value) for value in column.values or () if value.isdecimal()), default=10)
    return "csat" if highest <= 5 else "ces" if highest <= 7 else "nps"


def _key_guessed(kind: Kind, look: Look, typed: Mapping[str, Any]) -> list[str]:
    """Return the columns that tell rows apart: one whose values never repeat, else the reference and the moment."""
    reference = look.column(str(typed.get("reference__column", "")))
    if reference is not None and reference.is_unique:
        return [reference.name]
    named = [column for column in look.columns if column.is_unique and column.name.strip()]
    ids = [column.name for column in named if _bare(column.name).endswith(("id", "number", "no", "num"))]
    if ids:
        return ids[:1]
    moment = "answered_at__column" if kind is Kind.RESPONSES else "received_at__column"
    both = [typed.get("reference__column", ""), typed.get(moment, "")]
    return [name for name in both if name] if all(both) else []


def _bare(name: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())

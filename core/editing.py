"""Editing what others may edit too: a form knows the state it was filled from, and a stale one changes nothing.

The page carries a mark of what it showed. Somebody who saves upon an older state reads both versions, their own still
in the form, and decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField


@dataclass(frozen=True)
class Difference:
    """A field that somebody else saved otherwise meanwhile."""

    label: str
    saved: str
    typed: str


def mark_of(values: Mapping[str, Any]) -> str:
    """Return 32 characters that differ when any of the values does."""
    text = json.dumps(values, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def apply(row: Any, values: Mapping[str, Any]) -> list[str]:
    """Set the attributes of a row that differ; return their names, sorted."""
    changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, values[name])
    return changed


class EditForm(FlaskForm):
    """A form of something that exists: `EditForm.of(values)` fills it, or takes what was posted upon `values`."""

    seen = HiddenField()

    current: Mapping[str, Any] = {}
    conflict: list[Difference] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], *, prefix: str = "", posted: bool = True) -> Any:
        """Return the form of the state `values`, by field name, or what was posted to it (`posted` False: not here)."""
        given: dict[str, Any] = {} if posted else {"formdata": None}
        form = cls(data={**values, "seen": mark_of(values)}, prefix=prefix, **given)
        form.current = values
        return form

    def is_stale(self) -> bool:
        """Whether somebody saved another state since the page was shown; then `conflict` tells both versions.

        From then on the form stands upon the saved state, so that saving it once more is a decision.
        """
        if self.seen.data == mark_of(self.current):
            return False
        found = [
            Difference(str(field.label.text), shown(field, value), shown(field, field.data))
            for name, value in self.current.items()
            if (field := self._fields.get(name)) is not None and _plain(field.data) != _plain(value)
        ]
        self.seen.data = mark_of(self.current)
        self.conflict = found or None
        return self.conflict is not None


def shown(field: Field, value: Any) -> str:
    """Return a field's value as its reader knows it; a field of values of its own has a `tell`."""
    if hasattr(field, "tell") and value:
        return str(field.tell(value))
    if value is None or value in ("", [], ()):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(field, each) for each in value)
    return next((str(label) for key, label in _choices(field) if key == str(value)), str(value))


def _plain(value: Any) -> Any:
    """Return a value as it is compared: blank is None, and ticks have no order."""
    return sorted(value, key=str) if isinstance(value, (list, tuple)) and value else value or None


def _choices(field: Field) -> list[tuple[str, object]]:
    choices = getattr(field, "choices", None) or []
    pairs = [(each.value, each.label) if hasattr(each, "value") else (each[0], each[1]) for each in choices]
    return [(str(value), label) for value, label in pairs]

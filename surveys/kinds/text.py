"""The customer's own words. They are personal: kept in the response's comment, never among the coded answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l
from wtforms import TextAreaField
from wtforms.fields.core import UnboundField
from wtforms.validators import ValidationError

from surveys.kinds.base import Answered, Coded, Question, clean
from surveys.kinds.reading import Reader

DEFAULT_LENGTH = 2000


@dataclass(frozen=True)
class Text(Question):
    kind: ClassVar[str] = "text"
    name: ClassVar[Any] = _l("Comment")
    holds_words: ClassVar[bool] = True
    max_length: int

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        return {"max_length": reader.number("max_length", low=20, high=10_000, default=DEFAULT_LENGTH)}

    def details_to_json(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        rules = [*([Answered()] if self.required else []), NotLongerThan(self.max_length)]
        return TextAreaField(filters=[clean], validators=rules)

    def coded(self, data: Any) -> Coded:
        """Return only whether there are words; the words themselves go to the erasable comment."""
        return True if data else None

    def told(self, coded: Coded, language: str) -> str:
        return "✓" if coded else ""


class NotLongerThan:
    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, form: Any, field: Any) -> None:
        if len(field.data) > self.length:
            over = len(field.data) - self.length
            raise ValidationError(_l("This is too long for us by %(over)s characters. Please shorten it.", over=over))

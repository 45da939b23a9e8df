"""The customer's own words. They are personal: kept in the response's comment, never among the coded answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.fields.core import UnboundField

from surveys.kinds.base import Answered, Coded, NotLongerThan, Question, clean
from surveys.kinds.reading import Reader


@dataclass(frozen=True)
class Text(Question):
    kind: ClassVar[str] = "text"
    name: ClassVar[Any] = _l("Comment")
    seconds: ClassVar[int] = 25
    holds_words: ClassVar[bool] = True
    lengths: ClassVar[tuple[int, int, int]] = (20, 10_000, 2000)  # least, most and usual
    max_length: int

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        low, high, usual = cls.lengths
        return {"max_length": reader.number("max_length", low=low, high=high, default=usual)}

    def details_to_json(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        return TextAreaField(filters=[clean], validators=self.rules())

    def rules(self) -> list[Any]:
        return [*([Answered()] if self.required else []), NotLongerThan(self.max_length)]

    def coded(self, data: Any) -> Coded:
        """Return only whether there are words; the words themselves go to the erasable comment."""
        return True if data else None

    def told(self, coded: Coded, language: str) -> str:
        return "✓" if coded else ""


@dataclass(frozen=True)
class Line(Text):
    """A word or a sentence, on one line."""

    kind: ClassVar[str] = "line"
    name: ClassVar[Any] = _l("Short comment")
    seconds: ClassVar[int] = 12
    lengths: ClassVar[tuple[int, int, int]] = (10, 500, 200)

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        return StringField(filters=[clean], validators=self.rules())

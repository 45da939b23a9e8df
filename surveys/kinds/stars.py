"""One to five stars: a rating of a thing, not a score. Every star looks alike, whatever it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.core import UnboundField

from surveys.kinds.base import Answered, Coded, OneOf, Question
from surveys.kinds.reading import Reader, Texts

VALUES: Final = range(1, 6)


@dataclass(frozen=True)
class Stars(Question):
    kind: ClassVar[str] = "stars"
    name: ClassVar[Any] = _l("1 to 5 stars")
    low: Texts
    high: Texts

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        return {"low": reader.texts("low"), "high": reader.texts("high")}

    def details_to_json(self) -> dict[str, Any]:
        return {"low": dict(self.low), "high": dict(self.high)}

    @property
    def values(self) -> range:
        return VALUES

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        codes = [str(value) for value in VALUES]
        rules = [*([Answered()] if self.required else []), OneOf(frozenset(codes))]
        return RadioField(choices=codes, validators=rules, validate_choice=False)

    def coded(self, data: Any) -> Coded:
        return int(data) if data else None

    def told(self, coded: Coded, language: str) -> str:
        return "" if coded is None else _("%(stars)s of 5 stars", stars=coded)

"""What went wrong, or what was good: several choices by code, which also becomes the case's `why`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l
from wtforms.fields.core import UnboundField

from core.fields import CheckboxesField
from surveys.kinds.base import Answered, Choice, Coded, OneOf, Question
from surveys.kinds.reading import Reader


@dataclass(frozen=True)
class Why(Question):
    kind: ClassVar[str] = "why"
    name: ClassVar[Any] = _l("Choices, several")
    choices: tuple[Choice, ...]

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        return {"choices": Choice.read_all(reader)}

    def details_to_json(self) -> dict[str, Any]:
        return {"choices": [choice.to_json() for choice in self.choices]}

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        codes = [choice.code for choice in self.choices]
        rules = [*([Answered()] if self.required else []), OneOf(frozenset(codes))]
        return CheckboxesField(choices=codes, validators=rules, validate_choice=False)

    def coded(self, data: Any) -> Coded:
        """Return the codes in the order of the definition, each once."""
        given = set(data or ())
        return [choice.code for choice in self.choices if choice.code in given] or None

    def told(self, coded: Coded, language: str) -> str:
        given = coded if isinstance(coded, list) else []
        return ", ".join(choice.text[language] for choice in self.choices if choice.code in given)

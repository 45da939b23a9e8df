"""One choice, several choices, yes or no. Codes are kept as answers; what stands beside 'other' is personal."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField, StringField
from wtforms.fields.core import UnboundField
from wtforms.validators import StopValidation

from core.fields import CheckboxesField
from surveys.kinds.base import Answered, Choice, Coded, NotLongerThan, OneOf, Question, clean
from surveys.kinds.reading import Reader, Texts

OTHER: Final = "other"
OTHER_LENGTH: Final = 300
YES, NO = "yes", "no"
SOURCES: Final = ("recognition", "service", "convenience", "benefit", "information", "status")
"""The six sources of a good experience, by code."""


@dataclass(frozen=True)
class Choices(Question):
    """Choices by code. With `other`, one more with a line beside it: those words go to the erasable comment."""

    seconds: ClassVar[int] = 10
    choices: tuple[Choice, ...]
    other: Texts

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        choices, other = Choice.read_all(reader), reader.texts("other", required=False)
        if other and any(choice.code == OTHER for choice in choices):
            reader.fault("choices", f"has the code {OTHER} already; leave one of the two out")
        return {"choices": choices, "other": other}

    def details_to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"choices": [choice.to_json() for choice in self.choices]}
        return data | ({"other": dict(self.other)} if self.other else {})

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code that can be chosen, in the order of the page."""
        return (*(choice.code for choice in self.choices), *([OTHER] if self.other else []))

    @property
    def other_name(self) -> str:
        """The name of the line beside 'other'."""
        return f"{self.key}_{OTHER}"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.key, self.other_name) if self.other else (self.key,)

    def fields(self, *, reachable: frozenset[str]) -> dict[str, UnboundField]:
        found = {self.key: self.field(reachable=reachable)}
        if self.other:
            found[self.other_name] = StringField(filters=[clean], validators=[NotLongerThan(OTHER_LENGTH)])
        return found

    def rules(self) -> list[Any]:
        need = [Chosen(self.other_name if self.other else "")] if self.required else []
        return [*need, OneOf(frozenset(self.codes))]

    def answer(self, given: Mapping[str, Any]) -> tuple[Coded, str | None]:
        """Return the codes and the words beside 'other'. With nothing ticked, words tick it."""
        words = str(given.get(self.other_name) or "")
        chosen = self.coded(given.get(self.key)) or (self.coded(self._as_data(OTHER)) if words else None)
        is_other = OTHER in (chosen if isinstance(chosen, list) else [chosen])
        return chosen, (words or None) if is_other and self.other else None

    def told(self, coded: Coded, language: str) -> str:
        given = coded if isinstance(coded, list) else [coded]
        words = [choice.text[language] for choice in self.choices if choice.code in given]
        return ", ".join([*words, *([self.other[language]] if self.other and OTHER in given else [])])

    @abstractmethod
    def _as_data(self, code: str) -> Any:
        """Return a code as this kind's field would hold it."""


@dataclass(frozen=True)
class Single(Choices):
    kind: ClassVar[str] = "single"
    name: ClassVar[Any] = _l("One choice")

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        return RadioField(choices=list(self.codes), validators=self.rules(), validate_choice=False)

    def coded(self, data: Any) -> Coded:
        return str(data) if data else None

    def _as_data(self, code: str) -> Any:
        return code


@dataclass(frozen=True)
class Multiple(Choices):
    kind: ClassVar[str] = "multiple"
    name: ClassVar[Any] = _l("Choices, several")

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        return CheckboxesField(choices=list(self.codes), validators=self.rules(), validate_choice=False)

    def coded(self, data: Any) -> Coded:
        """Return the codes in the order of the definition, each once."""
        given = set(data or ())
        return [code for code in self.codes if code in given] or None

    def _as_data(self, code: str) -> Any:
        return [code]


@dataclass(frozen=True)
class Why(Multiple):
    """What went wrong, or what was good: its codes also become the case's `why`."""

    kind: ClassVar[str] = "why"
    name: ClassVar[Any] = _l("What went wrong, several")


@dataclass(frozen=True)
class Sources(Multiple):
    """Which of the six sources made an experience good (or were missing), under the same codes in every survey."""

    kind: ClassVar[str] = "sources"
    name: ClassVar[Any] = _l("Six sources of a good experience")

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        details = super().details(reader)
        for choice in details["choices"]:
            if choice.code not in SOURCES:
                reader.fault("choices", f"has {choice.code}, which is none of {', '.join(SOURCES)}")
        return details


@dataclass(frozen=True)
class YesNo(Question):
    kind: ClassVar[str] = "yes_no"
    name: ClassVar[Any] = _l("Yes or no")

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        rules = [*([Answered()] if self.required else []), OneOf(frozenset((YES, NO)))]
        return RadioField(choices=[YES, NO], validators=rules, validate_choice=False)

    def coded(self, data: Any) -> Coded:
        return str(data) if data else None

    def told(self, coded: Coded, language: str) -> str:
        return {YES: _("Yes"), NO: _("No")}.get(str(coded), "")


class Chosen:
    """Refuse a required choice that was left open; words beside 'other' count as choosing it."""

    def __init__(self, other_name: str) -> None:
        self.other_name = other_name

    def __call__(self, form: Any, field: Any) -> None:
        words = form[self.other_name].data if self.other_name in form else ""
        if not field.data and not words:
            raise StopValidation(_l("Please choose or write an answer here."))

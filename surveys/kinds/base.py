"""What every kind of question is: its place in the definition, its field, its coded answer, how that answer is told."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from flask_babel import lazy_gettext as _l
from wtforms.fields.core import UnboundField
from wtforms.validators import StopValidation, ValidationError

from surveys.kinds.reading import KEY, Reader, Texts

Coded = str | int | bool | list[str] | None  # what Response.answers keeps; None: asked and left blank
BANDS = ("low", "mid", "top")


@dataclass(frozen=True)
class ShowWhen:
    """When a question applies: after a main score of one band, or after certain answers to an earlier question."""

    band: str = ""
    question: str = ""
    answers: tuple[str, ...] = ()

    @classmethod
    def read(cls, reader: Reader | None) -> ShowWhen | None:
        if reader is None:
            return None
        band, question, answers = reader.get("band"), reader.get("question"), reader.get("is")
        reader.finish()
        if band in BANDS and question is None and answers is None:
            return cls(band=band)
        named = isinstance(question, str) and isinstance(answers, list) and answers
        if band is None and named and all(isinstance(answer, str) for answer in answers):
            return cls(question=question, answers=tuple(answers))
        reader.fault("", 'is {"band": "low", "mid" or "top"}, or {"question": …, "is": [codes]}')
        return None

    def to_json(self) -> dict[str, Any]:
        return {"band": self.band} if self.band else {"question": self.question, "is": list(self.answers)}

    def holds(self, band: str, answers: Mapping[str, Coded]) -> bool:
        if self.band:
            return band == self.band
        given = answers.get(self.question)
        return any(str(each) in self.answers for each in (given if isinstance(given, list) else [given]))


@dataclass(frozen=True)
class Question(ABC):
    """One question. Subclasses are the kinds; each reads its own members, makes its field and codes its answer."""

    kind: ClassVar[str]
    name: ClassVar[Any]  # of the kind, as an author reads it
    metric: ClassVar[str | None] = None  # of a scored kind
    seconds: ClassVar[int] = 6  # about how long an answer takes
    holds_words: ClassVar[bool] = False  # its answer is the customer's words, kept apart because they are personal

    key: str
    text: Texts
    hint: Texts
    required: bool
    show_when: ShowWhen | None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the question of one JSON object; faults go to the reader."""
        question = cls(
            key=reader.key(),
            text=reader.texts("text"),
            hint=reader.texts("hint", required=False),
            required=reader.flag("required"),
            show_when=ShowWhen.read(reader.inner("show_when")),
            **cls.details(reader),
        )
        reader.finish()
        return question

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        """Return the members that this kind alone has."""
        return {}

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"key": self.key, "kind": self.kind, "text": dict(self.text), "required": self.required}
        if self.hint:
            data["hint"] = dict(self.hint)
        if self.show_when:
            data["show_when"] = self.show_when.to_json()
        return data | self.details_to_json()

    def details_to_json(self) -> dict[str, Any]:
        return {}

    @abstractmethod
    def field(self, *, reachable: frozenset[str]) -> UnboundField | None:
        """Return the WTForms field, or None where the question cannot be asked of this customer.

        `reachable` holds the ways (phone, email) in which the customer could be contacted.
        """

    @abstractmethod
    def coded(self, data: Any) -> Coded:
        """Return what is kept of a valid field's data; None when it was left blank."""

    @abstractmethod
    def told(self, coded: Coded, language: str) -> str:
        """Return a kept answer as staff read it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its fields on the page, its own first."""
        return (self.key,)

    def fields(self, *, reachable: frozenset[str]) -> dict[str, UnboundField]:
        """Return its fields by name; none where it cannot be asked of this customer."""
        one = self.field(reachable=reachable)
        return {} if one is None else {self.key: one}

    def answer(self, given: Mapping[str, Any]) -> tuple[Coded, str | None]:
        """Return the coded answer and the customer's own words, of valid fields' data by name."""
        data = given.get(self.key)
        return self.coded(data), str(data) if self.holds_words and data else None

    def tallied(self, coded: Coded) -> tuple[str, ...]:
        """Return the codes under which an answer counts in a summary of many."""
        if coded is None:
            return ()
        return tuple(coded) if isinstance(coded, list) else (str(coded),)


@dataclass(frozen=True)
class Choice:
    code: str
    text: Texts

    @classmethod
    def read_all(cls, reader: Reader, name: str = "choices") -> tuple[Choice, ...]:
        choices = []
        for each in reader.objects(name, low=2, high=30):
            choices.append(cls(each.key("code"), each.texts("text")))
            each.finish()
        codes = [choice.code for choice in choices]
        for code in sorted({code for code in codes if codes.count(code) > 1 and KEY.fullmatch(code)}):
            reader.fault(name, f"has the code {code} twice")
        return tuple(choices)

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "text": dict(self.text)}


def clean(text: object) -> str:
    """Return typed words as they can be stored: without control characters or lone surrogates, plain line ends."""
    words = str(text or "").replace("\r\n", "\n").replace("\r", "\n")
    if words.isprintable():  # a line without anything to take out, as most are
        return words.strip()
    words = words.encode("utf-8", "replace").decode()
    return "".join(each for each in words if each in "\n\t" or unicodedata.category(each) != "Cc").strip()


class Answered:
    """Refuse a required question that was left open."""

    def __init__(self, words: Any = None) -> None:
        self.words = words or _l("Please choose or write an answer here.")

    def __call__(self, form: Any, field: Any) -> None:
        if field.data in (None, "", []):
            raise StopValidation(self.words)


class NotLongerThan:
    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, form: Any, field: Any) -> None:
        if len(field.data) > self.length:
            over = len(field.data) - self.length
            raise ValidationError(_l("This is too long for us by %(over)s characters. Please shorten it.", over=over))


class OneOf:
    """Refuse what is not among the choices; a page cannot send it, a program can."""

    def __init__(self, codes: frozenset[str]) -> None:
        self.codes = codes

    def __call__(self, form: Any, field: Any) -> None:
        given = field.data if isinstance(field.data, list) else [field.data]
        if any(str(each) not in self.codes for each in given if each not in (None, "")):
            raise StopValidation(_l("Please choose one of the answers shown."))

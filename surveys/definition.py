"""A survey's definition: JSON as it is stored and written by hand, frozen values as the code reads it.

{"key", "name", "languages": ["en", …], "questions": [{"key", "kind", "text": {"en": …}, "required", "show_when", …}],
 "opens_case_at": 6}

`opens_case_at` is the highest score of the main (the first scored) question that opens a case; null opens none.
Texts may say {brand}. docs/surveys.md has every member of every kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from wtforms import Form

from core.errors import BadInput
from core.i18n import LANGUAGES
from surveys.kinds import KINDS, Question, Scale
from surveys.kinds.base import Coded
from surveys.kinds.reading import Fault, Reader

MAX_QUESTIONS: Final = 40
MAX_SCORED: Final = 2
RESERVED: Final = frozenset(dir(Form)) | {"form_key", "lang", "score"}  # names that a page or a form has already


class BadDefinition(BadInput):
    """A definition with faults; `faults` lists each with its place."""

    code = "bad-definition"

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        problems = [{"field": fault.where, "detail": f"{fault.where} {fault.words}".strip()} for fault in faults]
        super().__init__(problems)


@dataclass(frozen=True)
class Definition:
    key: str
    name: str
    languages: tuple[str, ...]
    questions: tuple[Question, ...]
    opens_case_at: int | None

    @cached_property
    def main(self) -> Scale | None:
        """The question whose score counts: the first scored one."""
        return next((each for each in self.questions if isinstance(each, Scale)), None)

    @cached_property
    def further_scored(self) -> tuple[Scale, ...]:
        return tuple(each for each in self.questions if isinstance(each, Scale) and each is not self.main)

    @cached_property
    def steps(self) -> int:
        """How many steps the page names: questions asked of everyone, and the follow-ups as one."""
        follow_ups = any(each.show_when for each in self.questions)
        return sum(each.show_when is None for each in self.questions) + follow_ups

    @cached_property
    def seconds(self) -> int:
        """About how long the longest way through takes: what everyone is asked, and the longest of the follow-ups."""
        always = sum(each.seconds for each in self.questions if each.show_when is None)
        bands = {each.show_when.band for each in self.questions if each.show_when}
        after = [
            sum(each.seconds for each in self.questions if each.show_when and each.show_when.band == band)
            for band in bands
        ]
        return always + max(after, default=0)

    def question(self, key: str) -> Question | None:
        return next((each for each in self.questions if each.key == key), None)

    def language(self, wanted: str | None) -> str:
        """Return the language to ask in: the wanted one if the survey has it, else its first."""
        return wanted if wanted in self.languages else self.languages[0]

    def applies(self, question: Question, answers: Mapping[str, Coded]) -> bool:
        """Whether a question is asked, given the coded answers to those before it."""
        return question.show_when is None or question.show_when.holds(self._band(answers), answers)

    def opens_case(self, score: int | None) -> bool:
        """Whether a score of the main question opens a case."""
        return score is not None and self.opens_case_at is not None and score <= self.opens_case_at

    def threshold(self, scale: Scale) -> int | None:
        """Return the highest score of a scored question that opens a case; None opens none."""
        return self.opens_case_at if scale is self.main else scale.opens_case_at

    def unhappy(self, answers: Mapping[str, Coded]) -> Scale | None:
        """Return the question whose answer opens a case: the main one if it does, else the second scored one."""
        for scale in (*([self.main] if self.main else []), *self.further_scored):
            score, limit = answers.get(scale.key), self.threshold(scale)
            if isinstance(score, int) and limit is not None and score <= limit:
                return scale
        return None

    def band_sent(self, sent: Mapping[str, str]) -> str:
        """Return the band of the main score of a form as it was sent; empty where it has none that can be chosen."""
        score = sent.get(self.main.key) if self.main else None
        return self._bands.get(score, "") if score else ""

    @cached_property
    def _bands(self) -> Mapping[str, str]:
        return {str(value): self.main.band(value) for value in self.main.values} if self.main else {}

    def _band(self, answers: Mapping[str, Coded]) -> str:
        score = answers.get(self.main.key) if self.main else None
        return self.main.band(score) if self.main and isinstance(score, int) else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "name": self.name,
            "languages": list(self.languages),
            "questions": [question.to_json() for question in self.questions],
            "opens_case_at": self.opens_case_at,
        }


def parse(data: object) -> Definition:
    """Return the definition of a JSON object. Raises BadDefinition with every fault and its place."""
    if not isinstance(data, Mapping):
        raise BadDefinition([Fault("", "A definition is an object.")])
    faults: list[Fault] = []
    reader = Reader(data, "", _languages(data, faults), faults)
    reader.read |= {"languages", "name", "opens_case_at"}
    definition = Definition(
        key=reader.key(),
        name=_name(data, faults),
        languages=reader.languages,
        questions=tuple(filter(None, map(_question, reader.objects("questions", low=1, high=MAX_QUESTIONS)))),
        opens_case_at=data.get("opens_case_at"),
    )
    reader.finish()
    _check_whole(definition, faults)
    if faults:
        raise BadDefinition(faults)
    return definition


def _languages(data: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...]:
    given: Any = data.get("languages")
    is_list = isinstance(given, list) and bool(given) and all(isinstance(each, str) for each in given)
    if not is_list or not set(given) <= set(LANGUAGES) or len(set(given)) != len(given):
        faults.append(Fault("languages", f"is a list of languages, each once, from {', '.join(LANGUAGES)}"))
        return ("en",)
    return tuple(given)


def _name(data: Mapping[str, Any], faults: list[Fault]) -> str:
    name = data.get("name")
    if isinstance(name, str) and 0 < len(name.strip()) <= 120:
        return name.strip()
    faults.append(Fault("name", "is what staff call this survey, up to 120 characters"))
    return ""


def _question(reader: Reader) -> Question | None:
    kind = reader.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        reader.fault("kind", f"is one of {', '.join(KINDS)}")
        return None
    return KINDS[kind].read(reader)


def _check_whole(definition: Definition, faults: list[Fault]) -> None:
    taken: set[str] = set()
    for index, question in enumerate(definition.questions):
        where = f"questions[{index}]"
        if taken & set(question.names):
            faults.append(Fault(f"{where}.key", f"{question.key} is taken by an earlier question"))
        if question.key in RESERVED:
            faults.append(Fault(f"{where}.key", f"{question.key} is a name of the page itself; take another"))
        taken |= set(question.names)
        _check_show_when(definition, index, faults)
    if len(definition.further_scored) >= MAX_SCORED:
        faults.append(Fault("questions", f"has more than {MAX_SCORED} scored questions"))
    _check_threshold(definition, faults)


def _check_show_when(definition: Definition, index: int, faults: list[Fault]) -> None:
    question = definition.questions[index]
    when, where = question.show_when, f"questions[{index}].show_when"
    earlier = {each.key: each for each in definition.questions[:index]}
    if when is None:
        return
    if question is definition.main:
        faults.append(Fault(where, "cannot stand at the question whose score counts: everyone is asked it"))
    elif when.band and (definition.main is None or definition.main.key not in earlier):
        faults.append(Fault(where, "hangs on a score, and no scored question stands before it"))
    elif when.question and when.question not in earlier:
        faults.append(Fault(where, f"hangs on {when.question}, which is no earlier question"))


def _check_threshold(definition: Definition, faults: list[Fault]) -> None:
    if definition.opens_case_at is not None and definition.main is None:
        faults.append(Fault("opens_case_at", "needs a scored question"))
    for index, question in enumerate(definition.questions):
        if not isinstance(question, Scale):
            continue
        where = "opens_case_at" if question is definition.main else f"questions[{index}].opens_case_at"
        if question is definition.main and question.opens_case_at is not None:
            faults.append(Fault(f"questions[{index}].opens_case_at", "stands at the survey for its main question"))
        if not _is_score(definition.threshold(question), question):
            faults.append(Fault(where, f"is a score from {question.values[0]} to {question.values[-1]}, or null"))


def _is_score(limit: object, question: Scale) -> bool:
    return limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit in question.values)

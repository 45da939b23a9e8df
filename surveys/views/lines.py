"""A survey's questions as staff read them: numbered, with when each is asked and what kind it is."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _

from core import formats
from surveys.definition import Definition
from surveys.kinds import Question


@dataclass(frozen=True)
class Line:
    """One question of the reading view, with when it is asked and its texts by language."""

    question: Question
    number: int | None  # of a question that everybody is asked
    when: str
    details: str


def lines_of(asked: Definition, language: str) -> list[Line]:
    lines, number = [], 0
    for question in asked.questions:
        number += question.show_when is None
        own = number if question.show_when is None else None
        lines.append(Line(question, own, _when(asked, question, language), _details(question)))
    return lines


def _when(asked: Definition, question: Question, language: str) -> str:
    """Return "If 0 to 6", or "" for a question that everybody is asked."""
    when = question.show_when
    if when is None:
        return ""
    if when.band and asked.main:
        scores = [value for value in asked.main.values if asked.main.band(value) == when.band]
        return (
            _("If %(low)s to %(high)s", low=scores[0], high=scores[-1])
            if len(scores) > 1
            else _("If %(score)s", score=scores[0])
        )
    other = asked.question(when.question)
    return _(
        "If “%(question)s” is %(answers)s",
        question=other.text[language] if other else "",
        answers=formats.listed(list(when.answers)),
    )


def _details(question: Question) -> str:
    need = _("required") if question.required else _("optional")
    return f"{question.name}, {need}"

"""The kinds of questions. A new one is a class here, a macro in templates/surveys/public/questions.html, and a test."""

from __future__ import annotations

from surveys.kinds.base import Question
from surveys.kinds.choices import Choices, Multiple, Single, Sources, Why, YesNo
from surveys.kinds.contact import Contact
from surveys.kinds.scales import Ces, Csat, Nps, Scale
from surveys.kinds.stars import Stars
from surveys.kinds.text import Line, Text

_ALL: tuple[type[Question], ...] = (Nps, Csat, Ces, Stars, YesNo, Single, Multiple, Sources, Why, Text, Line, Contact)
KINDS: dict[str, type[Question]] = {kind.kind: kind for kind in _ALL}

__all__ = [
    "KINDS",
    "Ces",
    "Choices",
    "Contact",
    "Csat",
    "Line",
    "Multiple",
    "Nps",
    "Question",
    "Scale",
    "Single",
    "Sources",
    "Stars",
    "Text",
    "Why",
    "YesNo",
]

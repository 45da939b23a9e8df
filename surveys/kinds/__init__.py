"""The kinds of questions. A new one is a class here, a macro in templates/surveys/public/questions.html, and a test."""

from __future__ import annotations

from surveys.kinds.base import Question
from surveys.kinds.contact import Contact
from surveys.kinds.scales import Ces, Csat, Nps, Scale
from surveys.kinds.text import Text
from surveys.kinds.why import Why

KINDS: dict[str, type[Question]] = {kind.kind: kind for kind in (Nps, Csat, Ces, Why, Text, Contact)}

__all__ = ["KINDS", "Ces", "Contact", "Csat", "Nps", "Question", "Scale", "Text", "Why"]

"""Abandonment per question: how many of those who got to a question answered it and then left."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from core.db import db
from core.i18n import language
from customers.models import Brand
from insights.rates import Rates
from insights.recovery import Share
from surveys import changes, versions
from surveys.models import Survey


@dataclass(frozen=True)
class Step:
    """A question, and how many left after it (`k`) of those who got that far (`n`)."""

    question: str
    left: Share


@dataclass(frozen=True)
class Leaving:
    """One survey's invitations that were begun, those not finished, and the steps at which people left."""

    survey: str
    begun: Share  # those who did not finish, of all who began
    steps: list[Step]


def leaving(found: Rates) -> list[Leaving]:
    """Return the surveys that somebody left, most left first; one statement, definitions are parsed once per process.

    Questions are those of the version asked now, each with what everybody could have answered or somebody did; answers
    to questions that it no longer has count as left before its first one.
    """
    columns = (Survey.id, Survey.name, Brand.name, versions.current_id_of(Survey.id))
    query = select(*columns).join(Brand, Brand.id == Survey.brand_id).where(Survey.id.in_(found.left))
    every = [
        Leaving(name, Share(sum(found.left[id_].values()), begun), _steps(found.left[id_], begun, version_id, brand))
        for id_, name, brand, version_id in db.session.execute(query)
        if (begun := sum(found.left[id_].values()) + found.complete.get(id_, 0)) and version_id is not None
    ]
    return sorted(every, key=lambda each: (-each.begun.k, each.survey))


def _steps(left: dict[str, int], begun: int, version_id: int, brand: str) -> list[Step]:
    asked = versions.definition_of(version_id)
    known = {question.key for question in asked.questions}
    reached = begun - sum(count for key, count in left.items() if key not in known)
    steps = []
    for question in asked.questions:
        count = left.get(question.key, 0)
        if count or question.show_when is None:
            texts = {code: words.replace("{brand}", brand) for code, words in question.text.items()}
            words = changes.short(texts, asked.language(language()))
            steps.append(Step(words, Share(count, reached)))
        reached -= count
    return steps

"""Answering: one response per link under any race, safe when the customer sees "thank you".

The transaction holds the response, the spending of the link, the case of an unhappy customer and one row of work;
the customer's profile, the timeline, the reward and the outcome follow behind it (`surveys.reactions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Select, Table, Text, bindparam, exists, func, literal, or_, select, update
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import Insert, insert
from wtforms import Form

from core import outbox
from core.db import db, new_public_id
from core.errors import Gone
from core.prepared import Prepared
from feedback import cases, opening
from feedback.cases import UnhappyAnswer
from surveys.definition import Definition
from surveys.kinds import Scale
from surveys.kinds.base import Coded
from surveys.models import Invitation, InvitationState, Response, ResponseState
from surveys.opened import OPEN_STATES, Opened

_invitation, _response = cast(Table, Invitation.__table__), cast(Table, Response.__table__)
NO_CONTACT: Final = "none"


class AlreadyAnswered(Gone):
    """The link was spent before, perhaps a moment ago by a second click; the thank-you page shows what was answered."""

    code = "already-answered"


@dataclass(frozen=True)
class Answers:
    """A valid form as it is kept: coded answers by question (None: asked and left blank), and the customer's words."""

    coded: Mapping[str, Coded] = field(default_factory=dict)
    words: str | None = None

    def of_kind(self, asked: Definition, kind: str) -> Coded:
        """Return the answer to the first question of a kind that was asked."""
        return next(
            (self.coded[each.key] for each in asked.questions if each.kind == kind and each.key in self.coded), None
        )


def read(asked: Definition, form: Form) -> Answers | None:
    """Return the answers of a filled form, or None with the faults on its fields.

    Questions that do not apply to what was answered before them are taken out of the form: whatever was sent for them
    is neither checked nor kept.
    """
    coded: dict[str, Coded] = {}
    words: list[str] = []
    for question in asked.questions:
        names = [name for name in question.names if name in form]
        if not asked.applies(question, coded):
            for name in names:
                del form[name]
        elif names and not [name for name in names if not form[name].validate(form)]:
            coded[question.key], said = question.answer({name: form[name].data for name in names})
            words += [said] if said else []
    if any(one.errors for one in form):
        return None
    return Answers(coded, "\n\n".join(words) or None)


def submit(opened: Opened, asked: Definition, answers: Answers, *, form_key: str | None = None, now: datetime) -> None:
    """Keep one response, spend its link, open the case of an unhappy customer and post what follows, in one statement.

    Raises AlreadyAnswered for whoever comes second: the row waits for the first one's commit, so exactly one response
    stays. It is a transaction of its own (see Prepared.alone) or part of the session's, which the caller commits.
    """
    row = _row(opened, asked, answers, form_key, now)
    unhappy = None if opened.outcome_check_id is not None else asked.unhappy(answers.coded)
    case = _opening(opened, asked, answers, unhappy, row, now) if unhappy else None
    statement = _keeping(tuple(row), is_linked=opened.invitation_id is not None, opens=case is not None)
    if not statement.alone(**row, now=now, **(case or {})):
        raise AlreadyAnswered
    outbox.rings("response.react")


def _row(opened: Opened, asked: Definition, answers: Answers, form_key: str | None, now: datetime) -> dict[str, Any]:
    main = asked.main
    why = answers.of_kind(asked, "why")
    return {
        "public_id": new_public_id(),
        "invitation_id": opened.invitation_id,
        "survey_id": opened.survey_id,
        "version_id": opened.version_id,
        "brand_id": opened.brand_id,
        "touchpoint_id": opened.touchpoint_id,
        "interaction_id": opened.interaction_id,
        "customer_id": opened.customer_id,
        "outcome_check_id": opened.outcome_check_id,
        "first_response_id": opened.first_response_id if opened.outcome_check_id else None,
        "channel": opened.channel,
        "language": opened.language,
        "state": str(ResponseState.COMPLETE),
        "metric": main.metric if main else None,
        "question": main.key if main else None,
        "score": answers.coded.get(main.key) if main else None,
        "scale": main.scale if main else None,
        "scores": _further_scores(asked, answers),
        "why": why if isinstance(why, list) else [],
        "answers": dict(answers.coded),
        "comment": answers.words,
        "contact": answers.of_kind(asked, "contact"),
        "answered_at": now,
        "received_at": now,
        "form_key": form_key,
    }


def _further_scores(asked: Definition, answers: Answers) -> dict[str, Any]:
    given = ((each, answers.coded.get(each.key)) for each in asked.further_scored)
    return {
        each.key: {"metric": each.metric, "score": score, "scale": each.scale}
        for each, score in given
        if score is not None
    }


@lru_cache(maxsize=4)
def _keeping(names: tuple[str, ...], *, is_linked: bool, opens: bool) -> Prepared:
    """Return the statement that keeps a response of these columns, opens its case and posts its work; it gives its id.

    It gives nothing to whoever finds the link spent or over, or sends an open form a second time.
    """
    kept = (_insert_once(names) if is_linked else _insert_unlinked(names)).returning(_response.c.id).cte("kept")
    key, ids = as_type(kept.c.id, Text), func.jsonb_build_object("response_id", kept.c.id)
    posted = outbox.posting("response.react", kept, key=key, ids=ids).cte("posted")
    case = opening.beside(kept, reason=literal("response:").concat(key), response_id=kept.c.id) if opens else []
    return Prepared(select(kept.c.id).add_cte(posted, *case))


def _insert_once(names: Sequence[str]) -> Insert:
    """Spend the link, and insert the response only if it could be spent."""
    invitation_id = bindparam("invitation_id", type_=BigInteger)
    now = bindparam("now", type_=_response.c.answered_at.type)
    spent = (
        update(_invitation)
        .where(_invitation.c.id == invitation_id, _invitation.c.expires_at > now)
        .where(or_(*(_invitation.c.state == state for state in OPEN_STATES)))
        .values(state=InvitationState.ANSWERED, partial={})
        .returning(_invitation.c.id)
        .cte("spent")
    )
    return insert(_response).from_select(list(names), _values(names).where(exists(select(spent.c.id))))


def _insert_unlinked(names: Sequence[str]) -> Insert:
    inserted = insert(_response).from_select(list(names), _values(names))
    return inserted.on_conflict_do_nothing(index_elements=["form_key"])


def _values(names: Sequence[str]) -> Select[Any]:
    return select(*(bindparam(name, type_=_response.c[name].type) for name in names))


def _opening(
    opened: Opened, asked: Definition, answers: Answers, unhappy: Scale, row: Mapping[str, Any], now: datetime
) -> dict[str, Any] | None:
    """Return the case that the question with a score at or below its threshold opens."""
    brand, customer = opened.people()
    answer = UnhappyAnswer(
        survey_id=opened.survey_id,
        question=unhappy.key,
        metric=str(unhappy.metric),
        score=cast(int, answers.coded[unhappy.key]),
        brand=brand,
        touchpoint_id=opened.touchpoint_id,
        interaction_id=opened.interaction_id,
        customer=customer,
        why=row["why"],
        words=answers.words,
        language=opened.language,
        wants=row["contact"] or NO_CONTACT,
        threshold=asked.threshold(unhappy),
    )
    return cases.opening_of(answer, now=now)


# Partial answers


def keep_partial(opened: Opened, asked: Definition, form: Form, *, now: datetime) -> bool:
    """Keep what is filled in so far, as far as it is valid, until the form is sent. False: there is nothing to keep."""
    names = [name for question in asked.questions for name in question.names]
    filled = {name: form[name].data for name in names if _is_filled(form, name)}
    if opened.invitation_id is None or not filled:
        return False
    kept = db.session.execute(
        update(_invitation)
        .where(_invitation.c.id == opened.invitation_id, _invitation.c.state.in_(OPEN_STATES))
        .where(_invitation.c.expires_at > now)
        .values(partial=filled, partial_at=now, half_answered=is_partial(asked, filled))
        .returning(_invitation.c.id)
    )
    return kept.first() is not None


def _is_filled(form: Form, key: str) -> bool:
    return key in form and bool(form[key].data) and form[key].validate(form)


def is_partial(asked: Definition, partial: Mapping[str, Any]) -> bool:
    """Whether kept answers are a partial: at least half of the questions that applied (AAPOR); less is a break-off."""
    coded: dict[str, Coded] = {}
    applied = 0
    for question in asked.questions:
        if asked.applies(question, coded):
            applied += 1
            if question.key in partial:
                coded[question.key] = question.coded(partial[question.key])
    return bool(coded) and len(coded) * 2 >= applied


# For whoever shows an answer


def told(response: Response, asked: Definition, language: str) -> Sequence[tuple[str, str]]:
    """Return what was asked and answered, as staff read it: (question, answer); left blank is an empty answer."""
    spoken = asked.language(language)
    return [
        (question.text[spoken], question.told(response.answers[question.key], spoken))
        for question in asked.questions
        if question.key in response.answers
    ]

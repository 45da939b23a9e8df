"""What follows an answer, behind the thank-you page: the customer's profile, the log, the reward, a case's outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import joinedload

from core import outbox
from core.db import db
from core.events import Event
from core.outbox import Item
from customers import customers, profiles
from customers.models import Customer
from customers.profiles import Scored
from feedback import letters, outcome
from feedback.models import Case, OutcomeCheck
from incentives.models import Reward
from surveys import scoring
from surveys.models import Invitation, Response

BATCH = 100


@outbox.handler("response.react", queue="reactions", batch=BATCH)
def react(items: list[Item], *, now: datetime) -> None:
    """Let a batch of responses have their effects. Imported ones never come here."""
    responses = _responses([item.ids["response_id"] for item in items])
    profiles.update_many([_scored(each) for each in responses if _changes_profile(each)])
    _record(responses)
    _issue_rewards(responses, now=now)
    letters.post_opened(_opened_cases(responses), now=now)
    _record_outcomes(responses, now=now)


def _responses(ids: Sequence[int]) -> Sequence[Response]:
    """Return the responses with their customers held, all before the first case is (docs/architecture.md)."""
    mine = select(Response).where(Response.id.in_(ids))
    people = customers.held(select(Customer).where(Customer.id.in_(mine.with_only_columns(Response.customer_id))))
    responses = db.session.scalars(mine).all()
    merged_meanwhile = {each.customer_id for each in responses} - {each.id for each in people} - {None}
    if merged_meanwhile:
        customers.held(select(Customer).where(Customer.id.in_(merged_meanwhile)))
    return responses


def _record_outcomes(responses: Sequence[Response], *, now: datetime) -> None:
    """Take each outcome check's answer to the question that had opened its case, else to the survey's main one."""
    checks = {each.outcome_check_id: each for each in responses if each.outcome_check_id is not None}
    if not checks:
        return
    query = select(OutcomeCheck.id, Case.question).join(Case, Case.id == OutcomeCheck.case_id)
    opened_by = {row.id: row.question for row in db.session.execute(query.where(OutcomeCheck.id.in_(checks)))}
    for check_id, each in checks.items():
        again = each.scores.get(opened_by.get(check_id) or "") or {"metric": each.metric, "score": each.score}
        if again["metric"] and again["score"] is not None:
            outcome.record_answer(check_id, metric=again["metric"], score=again["score"], now=now)


def _changes_profile(response: Response) -> bool:
    return response.customer_id is not None and response.metric is not None and response.score is not None


def _scored(response: Response) -> Scored:
    metric, score = str(response.metric), int(response.score or 0)
    return Scored(
        customer_id=int(response.customer_id or 0),
        profile=str(scoring.profile(metric, score)),
        metric=metric,
        score=score,
        at=response.answered_at,
    )


def _record(responses: Sequence[Response]) -> None:
    rows = [_event(each) for each in responses]
    if rows:
        db.session.execute(insert(Event), rows)


def _event(response: Response) -> Mapping[str, Any]:
    return {
        "kind": "response.completed",
        "version": 1,
        "at": response.answered_at,
        "actor": "customer",
        "customer_id": response.customer_id,
        "case_id": None,
        "data": {
            "response": response.id,
            "survey": response.survey_id,
            "version": response.version_id,
            "touchpoint": response.touchpoint_id,
            "interaction": response.interaction_id,
            "metric": response.metric,
            "score": response.score,
            "outcome_check": response.outcome_check_id,
        },
    }


def _opened_cases(responses: Sequence[Response]) -> Sequence[Case]:
    query = select(Case).where(Case.reason.in_([f"response:{each.id}" for each in responses]))
    return db.session.scalars(query.options(joinedload(Case.brand), joinedload(Case.customer))).all()


def _issue_rewards(responses: Sequence[Response], *, now: datetime) -> None:
    """Hand over what the answered invitations had advertised, whatever the score."""
    answered = [each.invitation_id for each in responses if each.invitation_id]
    query = (
        select(Invitation.id, Invitation.customer_id, Reward.programme_id)
        .join(Reward, Reward.id == Invitation.reward_id)
        .where(Invitation.id.in_(answered))
    )
    earned = db.session.execute(query).all() if answered else []
    rows = [
        (
            f"invitation:{row.id}",
            {"programme_id": row.programme_id, "invitation_id": row.id, "customer_id": row.customer_id},
        )
        for row in earned
    ]
    outbox.later_many("reward.issue", rows, due_at=now)

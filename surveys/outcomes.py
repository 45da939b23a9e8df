"""Asking again: the invitation of an outcome check. Quarantine, sampling and holds do not apply to it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core import outbox
from core.db import db
from core.errors import Conflict
from feedback import outcome
from feedback.models import Case, OutcomeCheck, OutcomeState
from surveys import letters, versions
from surveys.invitations import language_for
from surveys.models import Invitation, InvitationState, Survey


class NoQuestion(Conflict):
    """Neither the case nor its brand names a survey, so there is no question to ask again."""

    code = "no-question"


def invite_outcome(check: OutcomeCheck, *, now: datetime) -> Invitation:
    """Return the invitation by which a case's customer is asked again; a second call returns the same one.

    It asks the question that opened the case, for a complaint the brand's main one, in the version asked now. It can
    be answered at once; sending its link by mail is `ask`'s matter. Raises NoQuestion.
    """
    known = db.session.scalar(select(Invitation).where(Invitation.outcome_check_id == check.id))
    if known is not None:
        return known
    case = _case(check.case_id)
    survey_id = _survey_of(case)
    invitation = Invitation(
        survey_id=survey_id,
        version_id=versions.current(survey_id).id,
        touchpoint_id=case.touchpoint_id,
        interaction_id=case.interaction_id,
        customer_id=case.customer_id,
        outcome_check_id=check.id,
        case_id=case.id,
        channel="link",
        language=language_for(case.customer, case.language),
        state=InvitationState.SENT,
        created_at=now,
        send_at=now,
        sent_at=now,
        expires_at=now + outcome.SILENT_AFTER,
        partial={},
    )
    db.session.add(invitation)
    db.session.flush()
    outcome.mark_asked(check, now=now)
    return invitation


@outbox.handler("outcome.ask", queue="reactions")
def ask(*, check_id: int, now: datetime) -> None:
    """Ask a customer by mail whether it is put right; a check that moved, was asked or was cancelled is left alone."""
    check = db.session.get(OutcomeCheck, check_id, with_for_update=True, populate_existing=True)
    if check is None or check.state != OutcomeState.PENDING or check.due_at > now:
        return
    case = _case(check.case_id)
    invitation = invite_outcome(check, now=now)
    if case.customer is not None and case.customer.email and case.customer.erased_at is None:
        invitation.channel = "email"
        invitation.message_id = letters.post_outcome_check(invitation, case, case.customer, now=now)
    db.session.flush()


def _case(case_id: int) -> Case:
    query = select(Case).where(Case.id == case_id).options(joinedload(Case.brand), joinedload(Case.customer))
    return db.session.scalars(query).one()


def _survey_of(case: Case) -> int:
    if case.survey_id is not None and versions.is_asked(case.survey_id):
        return case.survey_id
    main = select(Survey.id).where(Survey.key == case.brand.main_survey_key, Survey.brand_id == case.brand_id)
    survey_id = db.session.scalar(main)
    if survey_id is None or not versions.is_asked(survey_id):
        raise NoQuestion
    return survey_id

"""What an invitation's mail says: the first question in the customer's language, what it is about, the private link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask import current_app
from flask_babel import gettext as _

from core import formats, i18n, tokens
from core.config import Config
from customers.models import Brand, Customer, Touchpoint
from feedback import public as case_words
from feedback.models import Case
from incentives import public as reward_words
from incentives.models import Reward
from notifications import messages
from notifications.kinds import greeting_name
from notifications.messages import Draft
from surveys import versions
from surveys.definition import Definition
from surveys.models import Invitation
from surveys.rules import Facts

SCALES = {"nps": "0-10", "csat": "1-5", "ces": "1-7"}


def survey_url(invitation: Invitation) -> str:
    """Return the private address of an invitation's page; a reminder carries the same."""
    config: Config = current_app.extensions["config"]
    return f"{config.base_url}/s/{tokens.sign('survey', invitation.public_id)}"


def post_invitations(going: Sequence[tuple[Invitation, Facts, Reward | None]], *, now: datetime) -> dict[int, int]:
    """Post the mails of a batch at once; return the message's id by the invitation's."""
    shared: dict[_Occasion, Mapping[str, object]] = {}
    drafts = [_invitation(invitation, facts, reward, shared) for invitation, facts, reward in going]
    posted = messages.post_many(drafts, now=now)
    return {each[0].id: message.id for each, message in zip(going, posted, strict=True) if message is not None}


def post_outcome_check(invitation: Invitation, case: Case, customer: Customer, *, now: datetime) -> int | None:
    """Post the mail that asks again after a case; return the message's id."""
    asked = versions.definition_of(invitation.version_id)
    language = asked.language(invitation.language)
    with i18n.use_language(language, zone=case.brand.zone):
        values = _question(asked, language, case.brand) | {
            "survey_url": survey_url(invitation),
            "number": case.label,
            "name": greeting_name(customer.first_name),
            "case_url": case_words.case_url(case),
        }
    message = messages.post(
        "outcome_check",
        reason=f"outcome:{invitation.outcome_check_id}",
        brand=case.brand,
        customer=customer,
        language=language,
        values=values,
        to_address=customer.email,
        to_name=customer.name,
        case_id=case.id,
        now=now,
    )
    return message.id if message else None


class _Occasion(NamedTuple):
    """What the words of an invitation hang on, but for the customer's own."""

    version_id: int
    language: str
    touchpoint_id: int
    on: date
    quarantine_days: int


def _invitation(
    invitation: Invitation,
    facts: Facts,
    reward: Reward | None,
    shared: dict[_Occasion, Mapping[str, object]],
) -> Draft:
    """Return one mail; words that others of the batch say too are put together once and kept in `shared`."""
    customer, touchpoint = facts.the_customer, facts.interaction.touchpoint
    asked, brand = versions.definition_of(invitation.version_id), touchpoint.brand
    language = asked.language(invitation.language)
    on = facts.interaction.occurred_at.astimezone(ZoneInfo(brand.zone)).date()
    days = facts.rule.quarantine_days if facts.rule else 0
    about = _Occasion(invitation.version_id, language, touchpoint.id, on, days)
    if about not in shared:
        shared[about] = _words(asked, about, touchpoint)
    values: Mapping[str, object] = {
        **shared[about],
        "survey_url": survey_url(invitation),
        "name": greeting_name(customer.first_name),
        "reward": _gift(reward, language) if reward else "",
    }
    return Draft(
        kind="invitation",
        reason=f"invitation:{invitation.id}",
        brand=brand,
        language=language,
        values=values,
        to_address=customer.email,
        to_name=customer.name,
        customer_id=customer.id,
    )


def _words(asked: Definition, about: _Occasion, touchpoint: Touchpoint) -> Mapping[str, object]:
    with i18n.use_language(about.language):
        return _question(asked, about.language, touchpoint.brand) | {
            "occasion": occasion(touchpoint, about.language),
            "occurred_on": formats.day(about.on, "long"),
            "quarantine_days": formats.digits(about.quarantine_days),
        }


def _gift(reward: Reward, language: str) -> str:
    with i18n.use_language(language):
        return reward_words.described(reward.programme, amount_minor=reward.amount_minor)


def _question(asked: Definition, language: str, brand: Brand) -> dict[str, object]:
    main = asked.main
    if main is None:
        raise NothingToAsk(asked.key)
    return {
        "question": main.text[language].replace("{brand}", brand.name),
        "low_label": main.low[language],
        "high_label": main.high[language],
        "scale": SCALES[str(main.metric)],
    }


class NothingToAsk(ValueError):
    """A survey without a scored question cannot be sent by mail: its rating row has nothing to show."""


def occasion(touchpoint: Touchpoint, language: str) -> str:
    """Return what it was about, as it stands in a sentence: "your call"."""
    words: str = touchpoint.phrases.get(language) or touchpoint.phrases.get(i18n.DEFAULT) or _("your contact with us")
    return words

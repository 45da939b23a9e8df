"""What customers read about a reward: its name, its terms and the letter it comes with, in their language."""

from __future__ import annotations

from flask import current_app
from flask_babel import gettext as _

from core import formats, tokens
from incentives import cases
from incentives.models import Fulfilment, Programme, Reward, Trigger


def described(programme: Programme, *, amount_minor: int | None = None) -> str:
    """Return "a €5 voucher", for a sentence; `amount_minor` when it is not the programme's own."""
    amount = formats.money(amount_minor or programme.reward_minor, programme.currency)
    if programme.fulfilment == Fulfilment.MANUAL:
        return _("a %(amount)s credit", amount=amount)
    return _("a %(amount)s voucher", amount=amount)


def named(programme: Programme, *, amount_minor: int) -> str:
    """Return "€5 voucher", to stand by itself: above a code, or in a subject."""
    amount = formats.money(amount_minor, programme.currency)
    if programme.fulfilment == Fulfilment.MANUAL:
        return _("%(amount)s credit", amount=amount)
    return _("%(amount)s voucher", amount=amount)


def terms(programme: Programme, language: str) -> str:
    """Return the terms in `language`, else in the brand's, else in any that has them."""
    written = [programme.terms.get(code) for code in (language, programme.brand.language, *sorted(programme.terms))]
    return next((words for words in written if words), "") or _("There are no conditions.")


def letter(reward: Reward, language: str) -> dict[str, str]:
    """Return the values of the message of kind `reward`; call it inside `i18n.use_language(language, zone=…)`."""
    programme = reward.programme
    values = {
        "reward": named(programme, amount_minor=reward.amount_minor),
        "code": reward.code or "",
        "conditions": terms(programme, language),
        "valid_until": formats.day(reward.usable_until, "full") if reward.usable_until and reward.code else "",
        "name": (reward.customer.first_name if reward.customer else "") or "",
        "because": "goodwill" if programme.trigger == Trigger.GOODWILL else "answered",
    }
    return values | _case_of(reward)


def _case_of(reward: Reward) -> dict[str, str]:
    name = cases.names([reward.case_id]).get(reward.case_id or 0)
    if name is None:
        return {}
    link = f"{current_app.extensions['config'].base_url}/c/{tokens.sign('case', name.public_id)}"
    return {"number": name.label, "case_url": link}

"""What the thank-you page says: who acts next and by when, the case's number, the reward; it says so again later.

Like the survey itself it is made once for each shape that it can have, and filled for its reader.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from flask import render_template
from markupsafe import escape
from sqlalchemy import Select, String, Table, bindparam, func, select, true
from sqlalchemy import cast as sql_cast

from accounts.models import Staff, first_name_of, initials_of
from core import formats, i18n, tokens
from core.masking import mask_email
from core.prepared import Prepared
from feedback.models import Case, OutcomeCheck, Promise, PromiseState
from incentives.models import Programme, Reward, RewardState
from surveys import opened, pages, scoring, slots
from surveys.models import Invitation, Response
from surveys.opened import Face, Opened

TEMPLATE: Final = "surveys/public/thanks.html"
KEPT_PAGES: Final = 512
KEPT_WORDS: Final = 4096


@dataclass(frozen=True)
class Shape:
    """All that the page's unchanging part depends on. `gift` is code, dated (a code that ends), waiting or ""."""

    language: str
    face: Face
    profile: str | None  # negative, neutral or positive
    is_outcome: bool
    wants: str
    gift: str
    has_terms: bool
    has_customer: bool
    has_name: bool
    has_phone: bool
    has_email: bool
    has_case: bool
    has_keeper: bool
    has_promise: bool
    has_stop: bool


@dataclass(frozen=True)
class Thanks:
    """What there is to say to whoever answered; `answer` is a row of the statements below."""

    opened: Opened
    answer: Any
    now: datetime

    def page(self, *, path: str, language: str, stop_href: str) -> str:
        """Return the page in a language; `path` is its own address, for the links to the other languages."""
        shape = self._shape(language, has_stop=bool(stop_href))
        links = {f"link {code}": f"{path}?lang={code}" for code in i18n.LANGUAGES}
        values = {**links, "stop": stop_href, **self._who(), **self._case(language), **self._reward(language)}
        return slots.fill(_pieces(shape), {name: escape(value) for name, value in values.items()})

    def _shape(self, language: str, *, has_stop: bool) -> Shape:
        answer, link = self.answer, self.opened
        is_scored = answer.metric is not None and answer.score is not None
        is_outcome = answer.outcome_check_id is not None
        return Shape(
            language=language,
            face=link.face,
            profile=str(scoring.band(answer.metric, answer.score)) if is_scored else None,
            is_outcome=is_outcome,
            wants=answer.contact or "none",
            gift=self._gift,
            has_terms=bool(self._terms(language)),
            has_customer=link.customer_id is not None,
            has_name=bool(link.first_name),
            has_phone=bool(link.phone),
            has_email=bool(link.email),
            has_case=answer.number is not None,
            has_keeper=answer.keeper is not None,
            has_promise=answer.due_at is not None and not is_outcome,
            has_stop=has_stop,
        )

    @property
    def _gift(self) -> str:
        if self.answer.code:
            return "dated" if self.answer.usable_until else "code"
        return "waiting" if self.answer.reward in (RewardState.RESERVED, RewardState.ISSUED) else ""

    def _terms(self, language: str) -> str:
        """Return the reward's terms in the reader's language, else in any that has them, as its letter does."""
        written: Mapping[str, str] = self.answer.terms or {}
        known = (written.get(code) for code in (language, *sorted(written)))
        return next((words for words in known if words), "")

    def _who(self) -> dict[str, str]:
        link = self.opened
        return {
            "name": link.first_name,
            "phone": pages.masked_phone(link.phone) if link.phone else "",
            "address": mask_email(link.email) if link.email else "",
        }

    def _case(self, language: str) -> dict[str, str]:
        answer = self.answer
        if answer.number is None:
            return {}
        said = {
            "case": f"AM-{answer.number}",
            "case_href": f"/c/{tokens.sign('case', answer.case_public_id)}",
            "keeper": first_name_of(answer.keeper or ""),
            "initials": initials_of(answer.keeper or ""),
        }
        if answer.due_at is not None:
            said["time"], said["day"] = _when(language, self.opened.zone, _minute(answer.due_at), _minute(self.now))
        return said

    def _reward(self, language: str) -> dict[str, str]:
        answer = self.answer
        if answer.reward is None:
            return {}
        amount, until = _worth(language, self.opened.zone, answer.amount_minor, answer.currency, answer.usable_until)
        return {"amount": amount, "until": until, "code": answer.code or "", "terms": self._terms(language)}


def of_link(public_id: str, *, now: datetime) -> tuple[Opened | None, Thanks | None]:
    """Return what a link opens, and what to say to whoever answered it (None while nobody has); one statement."""
    rows = _BY_LINK.alone(link=public_id)
    if not rows:
        return None, None
    link = opened.of_columns(dict(zip(_LINK_NAMES, rows[0], strict=False)))
    answer: Any = _Said._make(rows[0][len(_LINK_NAMES) :])
    return link, Thanks(link, answer, now) if answer.answered else None


def of_form(place: Opened, form_key: str, *, now: datetime) -> Thanks | None:
    """The same for an open form, by the key of the form that was sent; there is no customer to tell more."""
    found = _BY_FORM.alone(answered=form_key)
    return Thanks(place, found[0], now) if found else None


@lru_cache(maxsize=KEPT_PAGES)
def _pieces(shape: Shape) -> tuple[str, ...]:
    with i18n.use_language(shape.language):
        return slots.cut(
            lambda slot: render_template(
                TEMPLATE, said=shape, slot=slot, brand=shape.face, stop_href=slot("stop") if shape.has_stop else ""
            )
        )


@lru_cache(maxsize=KEPT_WORDS)
def _when(language: str, zone: str, due: datetime, now: datetime) -> tuple[str, str]:
    with i18n.use_language(language, zone=zone):
        return formats.by_when(due, now), formats.day(due, "long")


@lru_cache(maxsize=KEPT_WORDS)
def _worth(language: str, zone: str, minor: int, currency: str, until: datetime | None) -> tuple[str, str]:
    with i18n.use_language(language, zone=zone):
        return formats.money(minor, currency), formats.day(until, "full") if until else ""


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


# The answer with its case (the one it opened, or for an outcome check the one it was about), the contact that is still
# to come, and the reward its link had advertised.
_answer, _link, _check, _case, _reward, _programme, _promise, _staff = (
    cast(Table, each.__table__)
    for each in (Response, Invitation, OutcomeCheck, Case, Reward, Programme, Promise, Staff)
)
_opened_by = _case.alias("opened_by")
_case_id = func.coalesce(
    _check.c.case_id,
    select(_opened_by.c.id)
    .where(_opened_by.c.reason == func.concat("response:", sql_cast(_answer.c.id, String)))
    .scalar_subquery(),
)
_contact = (
    select(_promise.c.due_at)
    .where(_promise.c.case_id == _case.c.id, _promise.c.kind == "contact", _promise.c.state == PromiseState.OPEN)
    .order_by(_promise.c.id.desc())
    .limit(1)
    .lateral("contact")
)
_SAID: Select[Any] = select(
    _answer.c.id.label("answered"),
    _answer.c.metric,
    _answer.c.score,
    _answer.c.outcome_check_id,
    _answer.c.contact,
    _case.c.number,
    _case.c.public_id.label("case_public_id"),
    _staff.c.name.label("keeper"),
    _contact.c.due_at,
    _reward.c.state.label("reward"),
    _reward.c.code,
    _reward.c.amount_minor,
    _reward.c.currency,
    _reward.c.usable_until,
    _programme.c.terms,
).select_from(
    _answer.outerjoin(_link, _link.c.id == _answer.c.invitation_id)
    .outerjoin(_reward, _reward.c.id == _link.c.reward_id)
    .outerjoin(_programme, _programme.c.id == _reward.c.programme_id)
    .outerjoin(_check, _check.c.id == _answer.c.outcome_check_id)
    .outerjoin(_case, _case.c.id == _case_id)
    .outerjoin(_staff, _staff.c.id == _case.c.assignee_id)
    .outerjoin(_contact, _case.c.id.is_not(None))
)
_Said = namedtuple("_Said", [column.key for column in _SAID.selected_columns])  # type: ignore[misc]
_found = opened.BY_LINK.subquery("found")
_LINK_NAMES: Final = tuple(column.key for column in _found.c)
_said = _SAID.where(_answer.c.invitation_id == _found.c.invitation_id).lateral("said")
_BY_LINK: Final = Prepared(
    select(*_found.c, *(column.label(f"said_{column.key}") for column in _said.c)).select_from(
        _found.outerjoin(_said, true())
    )
)
_BY_FORM: Final = Prepared(_SAID.where(_answer.c.form_key == bindparam("answered")))

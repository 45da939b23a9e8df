"""The survey page: its unchanging HTML is made once per process, version and language; what differs is put into slots.

The same template is rendered in two ways: with slots in place of what varies (kept, then filled by joining them), and
directly with the real values where an answer must be corrected. So a page costs one query and a join.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import render_template
from flask_babel import gettext as _
from markupsafe import Markup, escape
from werkzeug.datastructures import MultiDict
from wtforms import Form

from core import formats, i18n
from core.masking import mask_phone
from surveys import expected, slots, versions
from surveys.definition import Definition
from surveys.kinds import Contact, Question, Scale
from surveys.kinds.base import clean
from surveys.opened import Face, Opened
from surveys.slots import Slot

TEMPLATE: Final = "surveys/public/survey.html"
KEPT_PAGES: Final = 512
KEPT_WORDS: Final = 4096
NOTHING: Final = Markup("")


@dataclass(frozen=True)
class Address:
    """Where the page stands and where its form goes; `query` is what the reader's link carried (score, lang)."""

    path: str
    query: Mapping[str, str]
    partial_path: str = ""
    stop_href: str = ""
    form_key: str = ""

    def action(self) -> str:
        return self._with({"lang": self.query["lang"]} if "lang" in self.query else {})

    def in_languages(self) -> Iterator[tuple[str, str]]:
        """Yield the code of each language and the page's address in it."""
        rest = urlencode({name: value for name, value in self.query.items() if name != "lang"})
        begin = f"{self.path}?{rest}&lang=" if rest else f"{self.path}?lang="
        return ((code, begin + code) for code in i18n.LANGUAGES)

    def _with(self, query: Mapping[str, str]) -> str:
        return f"{self.path}?{urlencode(query)}" if query else self.path


@dataclass(frozen=True)
class Group:
    """Questions that stand together: follow-ups of one band, or what everybody is asked."""

    band: str
    questions: Sequence[Question]


@dataclass(frozen=True)
class Page:
    """What the template asks for: `slot(name)` is a value, or its place."""

    slot: Slot
    questions: Sequence[Question]
    language: str
    languages: Sequence[i18n.Language]
    steps: int
    offered: Mapping[str, Sequence[str]]  # the ways to contact, by question
    brand_name: str
    errors: Mapping[str, str]
    has_stop: bool
    has_form_key: bool
    has_partial: bool
    main: Question | None = None  # the one on whose score follow-ups hang
    is_preview: bool = False
    step: int = 1

    def say(self, texts: Mapping[str, str]) -> str:
        return texts[self.language].replace("{brand}", self.brand_name)

    def checked(self, key: str, value: object) -> Markup:
        return self.slot(f"checked {key} {value}")

    def words(self, key: str) -> Markup:
        return self.slot(f"words {key}")

    @property
    def groups(self) -> list[Group]:
        bands = groupby(self.questions, key=lambda each: each.show_when.band if each.show_when else "")
        return [Group(band, list(questions)) for band, questions in bands]

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong, as (id of the input, sentence), in the order of the questions."""
        names = ((each, name) for each in self.questions for name in each.names if name in self.errors)
        return [(self.first_input(each, name), self.errors[name]) for each, name in names]

    def must(self, question: Question) -> bool:
        """Whether the browser itself may insist on an answer: not to what it hides."""
        return question.required and question.show_when is None and not self.is_preview

    @staticmethod
    def first_input(question: Question, name: str) -> str:
        return name if question.holds_words or name != question.key else f"{name}-0"


@dataclass(frozen=True)
class Variant:
    """All that the unchanging part of a page depends on."""

    language: str
    face: Face
    reachable: frozenset[str]
    has_stop: bool
    has_form_key: bool
    has_partial: bool
    is_preview: bool = False


def variant_of(opened: Opened, address: Address, language: str) -> Variant:
    return Variant(
        language=language,
        face=opened.face,
        reachable=opened.reachable,
        has_stop=bool(address.stop_href),
        has_form_key=bool(address.form_key),
        has_partial=bool(address.partial_path),
    )


def show(opened: Opened, address: Address, *, language: str, nonce: str, now: datetime) -> str:
    """Return the page of a link that can be answered, with what was kept of it and what its address preselects."""
    asked = versions.definition_of(opened.version_id)
    given = {**(opened.partial or {}), **_preselected(asked, address.query)}
    parts = _parts(opened.version_id, variant_of(opened, address, language))
    values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
    return slots.fill(parts, values)


def show_again(
    opened: Opened,
    address: Address,
    form: Form,
    sent: MultiDict[str, str],
    *,
    language: str,
    nonce: str,
    now: datetime,
) -> str:
    """Return the page with what is wrong on top and everything that was `sent` kept, also below another score."""
    asked = versions.definition_of(opened.version_id)
    given = {name: _held(form, name, sent) for each in asked.questions for name in each.names}
    errors = {field.name: str(field.errors[0]) for field in form if field.errors}
    values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
    with i18n.use_language(language, zone=opened.zone):
        return _render(asked, variant_of(opened, address, language), lambda name: values.get(name, NOTHING), errors)


def preview(opened: Opened, asked: Definition, address: Address, *, language: str, nonce: str, now: datetime) -> str:
    """Return the page of any definition as a customer would see it; its form goes nowhere."""
    variant = replace(variant_of(opened, address, language), is_preview=True)
    given = _preselected(asked, address.query)
    values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
    with i18n.use_language(language, zone=opened.zone):
        return _render(asked, variant, lambda name: values.get(name, NOTHING), {})


@dataclass(frozen=True)
class About:
    """What a page is about, in words: "About your call", "about your call on Wednesday 12 November"."""

    title: str
    lead: str


def about(opened: Opened, language: str) -> About:
    number = opened.case_number if opened.outcome_check_id is not None else None
    phrase = (opened.phrases or {}).get(language) or ""
    at = opened.occurred_at
    return _about(language, number, phrase, at.astimezone(ZoneInfo(opened.zone)).date() if at else None)


@lru_cache(maxsize=KEPT_WORDS)
def _about(language: str, number: int | None, phrase: str, on: date | None) -> About:
    with i18n.use_language(language):
        if number:
            title = _("Your case AM-%(number)s", number=number)
            return About(title, _("about your case AM-%(number)s, asked once more", number=number))
        if not phrase:
            return About(_("Your answer"), "")
        title = _("About %(what)s", what=phrase)
        if on is None:
            return About(title, _("about %(what)s", what=phrase))
        return About(title, _("about %(what)s on %(day)s", what=phrase, day=formats.day(on, "long")))


@lru_cache(maxsize=KEPT_PAGES)
def _parts(version_id: int, variant: Variant) -> tuple[str, ...]:
    """Return the page in pieces. A published version never changes."""
    with i18n.use_language(variant.language):
        return slots.cut(lambda slot: _render(versions.definition_of(version_id), variant, slot, {}))


def _render(asked: Definition, variant: Variant, slot: Slot, errors: Mapping[str, str]) -> str:
    questions = [each for each in asked.questions if _can_be_asked(each, variant.reachable)]
    page = Page(
        slot=slot,
        questions=questions,
        language=variant.language,
        languages=[i18n.LANGUAGES[code] for code in asked.languages],
        steps=asked.steps,
        offered={each.key: each.offered(variant.reachable) for each in questions if isinstance(each, Contact)},
        brand_name=variant.face.name,
        errors=errors,
        has_stop=variant.has_stop,
        has_form_key=variant.has_form_key,
        has_partial=variant.has_partial,
        main=asked.main,
        is_preview=variant.is_preview,
    )
    return render_template(TEMPLATE, page=page, brand=variant.face, stop_href=slot("stop") if variant.has_stop else "")


def _can_be_asked(question: Question, reachable: frozenset[str]) -> bool:
    return not isinstance(question, Contact) or bool(question.offered(reachable))


def _preselected(asked: Definition, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the rating that a link in a mail chose: shown, and sent only by the reader."""
    score = query.get("score", "")
    known = asked.main is not None and score in {str(value) for value in asked.main.values}
    return {asked.main.key: score} if asked.main and known else {}


def _values(
    opened: Opened,
    asked: Definition,
    given: Mapping[str, Any],
    address: Address,
    *,
    language: str,
    nonce: str,
    now: datetime,
) -> dict[str, Markup]:
    """Return what goes into the slots, as HTML."""
    said = about(opened, language)
    values = {
        "title": escape(said.title),
        "lead": escape(f" · {said.lead}" if said.lead else ""),
        "action": escape(address.action()),
        "partial": escape(address.partial_path),
        "stop": escape(address.stop_href),
        "form_key": escape(address.form_key),
        "gift": _gift(language, opened.reward_minor, opened.reward_currency),
        "nonce": escape(nonce),
        **{f"link {code}": escape(href) for code, href in address.in_languages()},
        **_given(given),
    }
    if opened.phone:
        score = given.get(asked.main.key) if asked.main else None
        values["ring"] = _ring(opened, language, asked.main, score, asked.opens_case_at, now)
    return values


def _held(form: Form, name: str, sent: MultiDict[str, str]) -> Any:
    """Return what a field holds; where the form leaves it out, what was sent for it."""
    if name in form:
        return form[name].data
    values = [clean(value) for value in sent.getlist(name)]
    return values[0] if len(values) == 1 else values


def _given(given: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the slots of what was filled in. A slot that no question has is never asked for."""
    values: dict[str, Markup] = {}
    for key, value in given.items():
        if isinstance(value, str) and value:
            values[f"words {key}"] = escape(value)
        for each in value if isinstance(value, list) else [value]:
            values[f"checked {key} {each}"] = Markup(" checked")
    return values


@lru_cache(maxsize=KEPT_WORDS)
def _gift(language: str, minor: int | None, currency: str | None) -> Markup:
    if minor is None or currency is None:
        return NOTHING
    with i18n.use_language(language):
        words = _("%(amount)s for answering, whatever you say.", amount=formats.money(minor, currency))
    return Markup('<span class="hint">{}</span>').format(words)


def _ring(
    opened: Opened, language: str, main: Scale | None, score: object, threshold: int | None, now: datetime
) -> Markup:
    """Return where and by when we would ring."""
    # Not isdigit: a raised five is a digit, and no number.
    known = int(score) if isinstance(score, str) and score.isdecimal() and len(score) <= 2 else threshold
    due = expected.first_contact(opened, metric=main.metric if main else None, score=known, now=now)
    phone = escape(masked_phone(opened.phone or ""))
    # To the minute, as it is shown, so that customers of the same minute share the sentence.
    before, after = _ring_words(language, opened.zone, _minute(due), _minute(now)) if due else (NOTHING, NOTHING)
    return Markup(f'<small>{before}<bdi dir="ltr">{phone}</bdi>{after}</small>')  # noqa: S704  # its parts are escaped


@lru_cache(maxsize=KEPT_WORDS)
def _ring_words(language: str, zone: str, due: datetime, now: datetime) -> tuple[Markup, Markup]:
    """Return the sentence that says when we would ring, as what stands before the number and behind it."""
    with i18n.use_language(language, zone=zone):
        words = _("On %(phone)s, by %(time)s", phone="\ufffc", time=formats.by_when(due, now))
    before, _number, after = words.partition("\ufffc")
    return escape(before), escape(after)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def masked_phone(number: str) -> str:
    """Return the masked number in one piece, in the digits it is dialled with."""
    return mask_phone(number).replace(" ", "\u00a0")

"""The survey page: its unchanging HTML is made once per process, version and language; what differs is put into slots.

The same template is rendered in two ways: with slots in place of what varies (kept, then filled by joining them), and
directly with the real values where an answer must be corrected. So a page costs one query and a join.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from flask import render_template
from flask_babel import gettext as _
from markupsafe import Markup, escape
from wtforms import Form

from core import formats, i18n
from core.masking import mask_phone
from surveys import expected, versions
from surveys.definition import Definition
from surveys.kinds import Contact, Question, Scale
from surveys.opened import Face, Opened

TEMPLATE: Final = "surveys/public/survey.html"
KEPT_PAGES: Final = 512
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

    def in_language(self, code: str) -> str:
        return self._with({**self.query, "lang": code})

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

    slot: Callable[[str], Markup]
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
    with i18n.use_language(language, zone=opened.zone):
        values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
    return "".join([part if index % 2 == 0 else values.get(part, "") for index, part in enumerate(parts)])


def show_again(opened: Opened, address: Address, form: Form, *, language: str, nonce: str, now: datetime) -> str:
    """Return the page with what is wrong on top and everything that was typed kept."""
    asked = versions.definition_of(opened.version_id)
    given = {name: form[name].data for each in asked.questions for name in each.names if name in form}
    errors = {field.name: str(field.errors[0]) for field in form if field.errors}
    with i18n.use_language(language, zone=opened.zone):
        values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
        return _render(asked, variant_of(opened, address, language), lambda name: values.get(name, NOTHING), errors)


def preview(opened: Opened, asked: Definition, address: Address, *, language: str, nonce: str, now: datetime) -> str:
    """Return the page of any definition as a customer would see it; its form goes nowhere."""
    variant = replace(variant_of(opened, address, language), is_preview=True)
    with i18n.use_language(language, zone=opened.zone):
        given = _preselected(asked, address.query)
        values = _values(opened, asked, given, address, language=language, nonce=nonce, now=now)
        return _render(asked, variant, lambda name: values.get(name, NOTHING), {})


def lead_of(opened: Opened, language: str) -> str:
    """Return what the page is about: "about your call on Wednesday 12 November"."""
    if opened.outcome_check_id is not None and opened.case_number:
        return _("about your case AM-%(number)s, asked once more", number=opened.case_number)
    phrase = (opened.phrases or {}).get(language) or ""
    if phrase and opened.occurred_at:
        return _("about %(what)s on %(day)s", what=phrase, day=formats.day(opened.occurred_at, "long"))
    return _("about %(what)s", what=phrase) if phrase else ""


@lru_cache(maxsize=KEPT_PAGES)
def _parts(version_id: int, variant: Variant) -> tuple[str, ...]:
    """Return the page in pieces: text, slot, text, slot, … text. A published version never changes."""
    mark = secrets.token_hex(12)  # nobody's text can hold it
    with i18n.use_language(variant.language):
        html = _render(
            versions.definition_of(version_id), variant, lambda name: Markup("[{} {}]").format(mark, name), {}
        )
    return tuple(re.split(rf"\[{mark} ([^\]]+)\]", _squeezed(html)))


def _squeezed(html: str) -> str:
    """Drop the indentation; typed words come only into slots, so nothing that counts is touched."""
    return re.sub(r"\n\s*", "\n", html)


def _render(asked: Definition, variant: Variant, slot: Callable[[str], Markup], errors: Mapping[str, str]) -> str:
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
    lead = lead_of(opened, language)
    values = {
        "title": escape(_title(opened, language)),
        "lead": escape(f" · {lead}" if lead else ""),
        "action": escape(address.action()),
        "partial": escape(address.partial_path),
        "stop": escape(address.stop_href),
        "form_key": escape(address.form_key),
        "gift": _gift(opened),
        "nonce": escape(nonce),
        **{f"link {code}": escape(address.in_language(code)) for code in i18n.LANGUAGES},
        **_given(given),
    }
    if opened.phone:
        score = given.get(asked.main.key) if asked.main else None
        values["ring"] = _ring(opened, asked.main, score, asked.opens_case_at, now)
    return values


def _given(given: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the slots of what was filled in. A slot that no question has is never asked for."""
    values: dict[str, Markup] = {}
    for key, value in given.items():
        if isinstance(value, str) and value:
            values[f"words {key}"] = escape(value)
        for each in value if isinstance(value, list) else [value]:
            values[f"checked {key} {each}"] = Markup(" checked")
    return values


def _title(opened: Opened, language: str) -> str:
    if opened.outcome_check_id is not None and opened.case_number:
        return _("Your case AM-%(number)s", number=opened.case_number)
    phrase = (opened.phrases or {}).get(language)
    return _("About %(what)s", what=phrase) if phrase else _("Your answer")


def _gift(opened: Opened) -> Markup:
    if opened.reward_minor is None or opened.reward_currency is None:
        return NOTHING
    amount = formats.money(opened.reward_minor, opened.reward_currency)
    words = _("%(amount)s for answering, whatever you say.", amount=amount)
    return Markup('<span class="hint">{}</span>').format(words)


def _ring(opened: Opened, main: Scale | None, score: object, threshold: int | None, now: datetime) -> Markup:
    """Return where and by when we would ring."""
    known = int(score) if isinstance(score, str) and score.isdigit() else threshold
    due = expected.first_contact(opened, metric=main.metric if main else None, score=known, now=now)
    phone = Markup('<bdi dir="ltr">{}</bdi>').format(masked_phone(opened.phone or ""))
    if due is None:
        return Markup("<small>{}</small>").format(phone)
    words = escape(_("On %(phone)s, by %(time)s", phone="\ufffc", time=formats.by_when(due, now)))
    return Markup("<small>{}</small>").format(words.replace("\ufffc", phone))


def masked_phone(number: str) -> str:
    """Return the masked number in one piece, in the digits it is dialled with."""
    return mask_phone(number).replace(" ", "\u00a0")

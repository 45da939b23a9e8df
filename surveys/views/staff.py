"""What staff see of surveys: which there are, where they are asked, and each version with its page beside it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import visibility
from core import access, clock, formats, i18n, security
from core.db import db
from core.errors import NotFound
from customers.models import Brand, Touchpoint
from surveys import definition, pages
from surveys.definition import Definition
from surveys.kinds import Question, Scale
from surveys.models import InvitationRule, InvitationState, Survey, SurveyVersion
from surveys.opened import Face, Opened
from surveys.pages import Address

blueprint = Blueprint("survey_books", __name__)


@dataclass(frozen=True)
class Entry:
    """One survey of the list: the version asked now (None: never published), its draft, and where it is asked."""

    survey: Survey
    number: int | None
    has_draft: bool
    rules: list[InvitationRule]


@dataclass(frozen=True)
class Line:
    """One question of the reading view, with when it is asked and its texts by language."""

    question: Question
    number: int | None  # of a question that everybody is asked
    when: str
    details: str


@blueprint.get("/surveys")
@access.needs("surveys.see")
def index() -> str:
    """List the surveys with their versions and the touchpoints that ask them."""
    query = select(Survey).where(Survey.archived_at.is_(None)).options(joinedload(Survey.brand)).order_by(Survey.name)
    surveys = db.session.scalars(visibility.visible_to(current_user, query, Survey.brand_id)).all()
    ids = [survey.id for survey in surveys]
    numbers, rules = _numbers(ids), _rules(ids)
    entries = [Entry(each, *numbers.get(each.id, (None, False)), rules.get(each.id, [])) for each in surveys]
    return render_template("surveys/index.html", entries=entries)


@blueprint.get("/surveys/<key>")
@access.needs("surveys.see")
def show(key: str) -> Response:
    """Read one version of a survey, with its page as a customer sees it."""
    survey = _survey(key)
    versions = _versions(survey)
    version = _chosen(versions)
    asked = definition.parse(version.definition)
    language = asked.language(request.args.get("language"))
    page = render_template(
        "surveys/show.html",
        survey=survey,
        versions=versions,
        version=version,
        current=next((each for each in versions if each.published_at), None),
        asked=asked,
        lines=_lines(asked, language),
        read_in=language,
        languages=[i18n.LANGUAGES[code] for code in asked.languages],
        scores=_samples(asked),
        score=request.args.get("score", ""),
        rules=_rules([survey.id]).get(survey.id, []),
        now=clock.now(),
    )
    response = make_response(page)
    # The preview stands in a frame: ours, and nobody else's.
    response.headers["Content-Security-Policy"] = f"{security.policy(security.csp_nonce())}; frame-src 'self'"
    return response


@blueprint.get("/surveys/<key>/preview")
@access.needs("surveys.see")
def preview(key: str) -> Response:
    """Show a version's page as a customer would see it; it sends nothing."""
    survey = _survey(key)
    version = _chosen(_versions(survey))
    asked = definition.parse(version.definition)
    language = asked.language(request.args.get("lang"))
    kept = ("version", "lang", "score")
    query = {name: request.args[name][:20] for name in kept if name in request.args}
    address = Address(path=url_for("survey_books.preview", key=key), query=query)
    html = pages.preview(
        _nobody(survey, version), asked, address, language=language, nonce=security.csp_nonce(), now=clock.now()
    )
    response = make_response(html)
    policy = security.policy(security.csp_nonce())
    response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _survey(key: str) -> Survey:
    query = select(Survey).where(Survey.key == key).options(joinedload(Survey.brand))
    is_text = "\x00" not in key
    survey = db.session.scalar(visibility.visible_to(current_user, query, Survey.brand_id)) if is_text else None
    if survey is None:
        raise NotFound
    return survey


def _versions(survey: Survey) -> list[SurveyVersion]:
    """Return the versions of a survey, the newest first."""
    query = select(SurveyVersion).where(SurveyVersion.survey_id == survey.id).order_by(SurveyVersion.number.desc())
    return list(db.session.scalars(query))


def _chosen(versions: list[SurveyVersion]) -> SurveyVersion:
    """Return the version that the address names, else the one asked now, else the draft."""
    wanted = request.args.get("version", "")
    if wanted:
        found = next((each for each in versions if str(each.number) == wanted), None)
        if found is None:
            raise NotFound
        return found
    return next((each for each in versions if each.published_at), versions[0])


def _numbers(survey_ids: list[int]) -> dict[int, tuple[int | None, bool]]:
    published = SurveyVersion.published_at.is_not(None)
    rows = db.session.execute(
        select(
            SurveyVersion.survey_id,
            func.max(SurveyVersion.number).filter(published),
            func.bool_or(SurveyVersion.published_at.is_(None)),
        )
        .where(SurveyVersion.survey_id.in_(survey_ids))
        .group_by(SurveyVersion.survey_id)
    )
    return {survey_id: (number, bool(has_draft)) for survey_id, number, has_draft in rows}


def _rules(survey_ids: list[int]) -> dict[int, list[InvitationRule]]:
    query = (
        select(InvitationRule)
        .join(Touchpoint, Touchpoint.id == InvitationRule.touchpoint_id)
        .where(InvitationRule.survey_id.in_(survey_ids))
        .options(joinedload(InvitationRule.touchpoint), joinedload(InvitationRule.programme))
        .order_by(Touchpoint.name)
    )
    found: dict[int, list[InvitationRule]] = {}
    for rule in db.session.scalars(query):
        found.setdefault(rule.survey_id, []).append(rule)
    return found


def _lines(asked: Definition, language: str) -> list[Line]:
    lines, number = [], 0
    for question in asked.questions:
        number += question.show_when is None
        own = number if question.show_when is None else None
        lines.append(Line(question, own, _when(asked, question, language), _details(question)))
    return lines


def _when(asked: Definition, question: Question, language: str) -> str:
    """Return "If 0 to 6", or "" for a question that everybody is asked."""
    when = question.show_when
    if when is None:
        return ""
    if when.band and asked.main:
        scores = [value for value in asked.main.values if asked.main.band(value) == when.band]
        return (
            _("If %(low)s to %(high)s", low=scores[0], high=scores[-1])
            if len(scores) > 1
            else _("If %(score)s", score=scores[0])
        )
    other = asked.question(when.question)
    return _(
        "If “%(question)s” is %(answers)s",
        question=other.text[language] if other else "",
        answers=formats.listed(list(when.answers)),
    )


def _details(question: Question) -> str:
    need = _("required") if question.required else _("optional")
    return f"{question.name}, {need}"


def _samples(asked: Definition) -> list[tuple[str, str]]:
    """Return a score of each band to look at, with its words."""
    if asked.main is None:
        return []
    firsts: dict[str, int] = {}
    for value in asked.main.values:
        firsts.setdefault(asked.main.band(value), value)
    return [(str(_typical(asked.main, band)), _("If %(score)s", score=_typical(asked.main, band))) for band in firsts]


def _typical(main: Scale, band: str) -> int:
    scores = [value for value in main.values if main.band(value) == band]
    return scores[len(scores) // 2]


def _nobody(survey: Survey, version: SurveyVersion) -> Opened:
    """Return an opened link of nobody: somebody who could be rung and written to."""
    brand: Brand = survey.brand
    return Opened(
        invitation_id=None,
        public_id="",
        state=InvitationState.SENT,
        expires_at=None,
        survey_id=survey.id,
        version_id=version.id,
        brand_id=brand.id,
        face=Face(brand.key, brand.name, brand.phone, brand.phone_hours, brand.reply_address, brand.privacy_url),
        zone=brand.zone,
        language=brand.language,
        channel="link",
        email="h@example.com",
        phone="+49405550000",
        calendar_id=brand.calendar_id,
    )

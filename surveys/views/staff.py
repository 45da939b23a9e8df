"""What staff see of surveys: which there are, where they are asked, and each version with its page beside it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import history, visibility
from core import access, clock, editing, i18n, security
from core.db import db
from customers.models import Touchpoint
from surveys import changes, definition, pages, versions, wordings
from surveys.definition import Definition
from surveys.kinds import Scale
from surveys.models import Equivalence, InvitationRule, Survey, SurveyVersion
from surveys.pages import Address
from surveys.scoring import Metric
from surveys.views import loading
from surveys.views.lines import lines_of
from surveys.wording_form import WordingForm

blueprint = Blueprint("survey_books", __name__)
Wording = list[tuple[str, dict[str, str]]]  # a question's key, its words by language


@dataclass(frozen=True)
class Entry:
    """One survey of the list: the version asked now (None: never published), its draft, and where it is asked."""

    survey: Survey
    number: int | None
    has_draft: bool
    rules: list[InvitationRule]


@dataclass(frozen=True)
class Rewording:
    """A score that a version asks for in other words than version `number`; what is declared of it, by whom."""

    metric: Metric
    number: int
    was: Wording
    became: Wording
    declared: Equivalence | None
    by: str
    form: WordingForm


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
    survey = loading.survey_of(key)
    return page(survey, loading.chosen(loading.versions_of(survey)))


def page(
    survey: Survey, version: SurveyVersion, *, wording: WordingForm | None = None, metric: str = "", status: int = 200
) -> Response:
    """Return the page of one version; `wording` is a filled form about the question of `metric`."""
    known = loading.versions_of(survey)
    current = next((each for each in known if each.published_at), None)
    asked = definition.parse(version.definition)
    language = asked.language(request.args.get("language"))
    is_draft = version.published_at is None
    before = versions.definition_of(current.id) if current and is_draft else None
    html = render_template(
        "surveys/show.html",
        survey=survey,
        versions=known,
        version=version,
        current=current,
        changes=changes.between(before, asked),
        stamp=editing.mark_of(version.definition),
        saved_by=history.name_of(version.saved_by) if is_draft and version.saved_by else "",
        asked=asked,
        lines=lines_of(asked, language),
        read_in=language,
        languages=[i18n.LANGUAGES[code] for code in asked.languages],
        scores=_samples(asked),
        score=request.args.get("score", ""),
        rewordings=_rewordings(version, wording, metric),
        rules=_rules([survey.id]).get(survey.id, []),
        now=clock.now(),
    )
    return loading.with_frame(html, status)


@blueprint.get("/surveys/<key>/preview")
@access.needs("surveys.see")
def preview(key: str) -> Response:
    """Show a version's page as a customer would see it; it sends nothing."""
    survey = loading.survey_of(key)
    version = loading.chosen(loading.versions_of(survey))
    asked = definition.parse(version.definition)
    language = asked.language(request.args.get("lang"))
    address = Address(path=url_for("survey_books.preview", key=key), query=loading.preview_query())
    nobody = loading.nobody(survey.brand, survey, version)
    html = pages.preview(nobody, asked, address, language=language, nonce=security.csp_nonce(), now=clock.now())
    return loading.in_frame(html)


@blueprint.post("/surveys/<key>/publish")
@access.needs("surveys.edit")
def publish(key: str) -> Response:
    """Publish the draft as its reader saw it; one that was saved since is looked at again."""
    survey = loading.survey_of(key, to_change=True)
    draft = next((each for each in loading.versions_of(survey) if each.published_at is None), None)
    if draft is not None and request.form.get("stamp") != editing.mark_of(draft.definition):
        number = draft.number
        db.session.rollback()
        flash(_("Somebody saved this draft after you opened the page. Look at the changes again."), "error")
        return redirect(url_for("survey_books.show", key=key, version=number), 303)
    version = versions.publish(survey, by=f"staff:{current_user.id}", now=clock.now())
    db.session.commit()
    flash(_("Version %(number)s is live.", number=version.number), "success")
    return redirect(url_for("survey_books.show", key=key), 303)


def _rewordings(version: SurveyVersion, filled: WordingForm | None, metric: str) -> list[Rewording]:
    """Return the scores that a published version asks for in other words than the one before it."""
    found, older = wordings.reworded(version), wordings.before(version)
    if not found or older is None:
        return []
    declared = wordings.standing([version.id])
    was, now = versions.definition_of(older.id), versions.definition_of(version.id)
    return [
        Rewording(
            each,
            older.number,
            changes.wording_of(was, each),
            changes.wording_of(now, each),
            declared.get((version.id, each)),
            history.name_of(declared[version.id, each].declared_by) if (version.id, each) in declared else "",
            filled if filled is not None and each == metric else WordingForm(formdata=None, prefix=each),
        )
        for each in found
    ]


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

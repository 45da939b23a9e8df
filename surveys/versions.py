"""Versions of a survey: one draft at a time, published ones that never change, and their compiled forms.

Publishing is the only way a definition comes to customers; invitations and responses name the version they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, func, select
from werkzeug.datastructures import MultiDict
from wtforms import Form
from wtforms.fields.core import UnboundField

from core import events
from core.db import db
from core.errors import Conflict, NotFound
from customers.models import Brand
from surveys import changes, definition, library
from surveys.definition import BadDefinition, Definition
from surveys.kinds.reading import Fault
from surveys.models import Survey, SurveyVersion

ADDRESSES = frozenset({"library"})  # /surveys/library is a page, not a survey


class NothingToPublish(Conflict):
    code = "nothing-to-publish"

    def sentence(self) -> str:
        return _("There is no draft of this survey to publish.")


class NotPublished(NotFound):
    code = "not-published"

    def sentence(self) -> str:
        return _("This survey has no published version yet.")


def create(data: Mapping[str, Any], *, brand: Brand, by: str, now: datetime) -> Survey:
    """Add a survey with its first draft. Raises BadDefinition; its key must be new."""
    parsed = definition.parse(data)
    if parsed.key in ADDRESSES:
        raise BadDefinition([Fault("key", f"{parsed.key} is an address of the pages themselves; take another")])
    survey = Survey(key=parsed.key, name=parsed.name, brand_id=brand.id, created_at=now)
    survey.brand = brand
    db.session.add(survey)
    db.session.flush()
    draft(survey, parsed.to_json(), by=by, now=now)
    return survey


def draft(survey: Survey, data: Mapping[str, Any], *, by: str, now: datetime) -> SurveyVersion:
    """Set the survey's one draft to `data` (it may be taken up again until it is published). Raises BadDefinition."""
    parsed = definition.parse(data)
    if parsed.key != survey.key:
        raise BadDefinition([Fault("key", f"is {survey.key}, as everything that names this survey knows it")])
    current_draft = db.session.scalar(_versions_of(survey).where(SurveyVersion.published_at.is_(None)))
    if current_draft is None:
        current_draft = SurveyVersion(survey_id=survey.id, number=_next_number(survey), created_at=now)
        db.session.add(current_draft)
    current_draft.definition = parsed.to_json()
    current_draft.saved_at, current_draft.saved_by = now, by
    db.session.flush()
    events.record("survey.drafted", at=now, actor=by, survey=survey.id, version=current_draft.id)
    return current_draft


def publish(survey: Survey, *, by: str, now: datetime) -> SurveyVersion:
    """Publish the draft; from now on it never changes, and new invitations ask it. Raises NothingToPublish."""
    version = db.session.scalar(_versions_of(survey).where(SurveyVersion.published_at.is_(None)).with_for_update())
    if version is None:
        raise NothingToPublish
    asked, before = definition.parse(version.definition), latest(survey.id)
    version.published_at, version.published_by = now, by
    survey.name = version.definition["name"]
    db.session.flush()
    reworded = changes.reworded(definition_of(before.id), asked) if before else []
    events.record(
        "survey.published",
        at=now,
        actor=by,
        survey=survey.id,
        version=version.id,
        number=version.number,
        reworded=reworded,  # scored questions whose trend breaks here
    )
    return version


def discard(survey: Survey, *, by: str, now: datetime) -> None:
    """Throw the draft away. Raises NothingToPublish where there is none, or nothing but it."""
    version = db.session.scalar(_versions_of(survey).where(SurveyVersion.published_at.is_(None)).with_for_update())
    if version is None or latest(survey.id) is None:
        raise NothingToPublish
    events.record("survey.draft_discarded", at=now, actor=by, survey=survey.id, version=version.id)
    db.session.delete(version)
    db.session.flush()


def current(survey_id: int) -> SurveyVersion:
    """Return the version asked now: the highest published one. Raises NotPublished."""
    version = latest(survey_id)
    if version is None:
        raise NotPublished
    return version


def latest(survey_id: int) -> SurveyVersion | None:
    """Return the version asked now, or None before the first is published."""
    return db.session.scalar(
        select(SurveyVersion)
        .where(SurveyVersion.survey_id == survey_id, SurveyVersion.published_at.is_not(None))
        .order_by(SurveyVersion.number.desc())
        .limit(1)
    )


def is_asked(survey_id: int) -> bool:
    """Whether a survey has a published version with a scored question."""
    try:
        return definition_of(current(survey_id).id).main is not None
    except NotPublished:
        return False


def current_id_of(survey_id: Any) -> ColumnElement[int]:
    """Return the scalar subquery for the id of the version asked now, for queries that need it beside other rows."""
    published = SurveyVersion.__table__.alias("published")
    return (
        select(published.c.id)
        .where(published.c.survey_id == survey_id, published.c.published_at.is_not(None))
        .order_by(published.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )


def take(key: str, *, brand: Brand, by: str, now: datetime) -> Survey:
    """Add a survey of the library with a draft to work on; its key gets a number where it is taken. Raises
    library.UnknownTemplate."""
    data = library.survey(key).to_json()
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtext("surveys.take"))))  # of two clicks, one waits
    taken = set(db.session.scalars(select(Survey.key).where(Survey.key.startswith(key, autoescape=True))))
    free = key if key not in taken else next(name for n in count(2) if (name := f"{key}_{n}") not in taken)
    return create({**data, "key": free}, brand=brand, by=by, now=now)


def install(key: str, *, brand: Brand, by: str, now: datetime) -> Survey:
    """Return the library's survey `key` of this installation, added and published if it is not there yet."""
    known = db.session.scalar(select(Survey).where(Survey.key == key))
    if known is not None:
        return known
    survey = create(library.survey(key).to_json(), brand=brand, by=by, now=now)
    publish(survey, by=by, now=now)
    return survey


def definition_of(version_id: int) -> Definition:
    """Return a published version's definition, parsed once per process. Raises NotPublished for a draft."""
    known = _known.get(version_id)
    if known is None:
        version = db.session.get(SurveyVersion, version_id)
        if version is None or version.published_at is None:
            raise NotPublished
        known = _known[version_id] = definition.parse(version.definition)
    return known


_known: dict[int, Definition] = {}  # a published version never changes, so nothing here grows stale


def filled(version_id: int, reachable: frozenset[str], sent: MultiDict[str, str]) -> Form:
    """Return the form of a published version with what was sent, without the follow-ups of other scores.

    `reachable`: the ways in which this customer can be contacted. Each field costs time, and most follow-ups are
    another score's; the form is built once per process and band.
    """
    return form_of(version_id, reachable, definition_of(version_id).band_sent(sent))(sent)


@lru_cache(maxsize=512)
def form_of(version_id: int, reachable: frozenset[str], band: str | None = None) -> type[Form]:
    """Return the form of a published version; see `make_form`."""
    return make_form(definition_of(version_id), reachable, band)


def make_form(asked: Definition, reachable: frozenset[str], band: str | None = None) -> type[Form]:
    """Return the form of every question that could be asked after a main score of a band; None: after any score."""
    fields: dict[str, UnboundField] = {}
    for each in asked.questions:
        if band is None or each.show_when is None or each.show_when.band in ("", band):
            fields |= each.fields(reachable=reachable)
    return type("SurveyForm", (Form,), fields)


def _versions_of(survey: Survey) -> Any:
    return select(SurveyVersion).where(SurveyVersion.survey_id == survey.id)


def _next_number(survey: Survey) -> int:
    highest = db.session.scalar(select(func.max(SurveyVersion.number)).where(SurveyVersion.survey_id == survey.id))
    return (highest or 0) + 1

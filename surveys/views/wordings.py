"""Declaring two wordings of a scored question equivalent, or withdrawing it: on the page of the newer version."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from core import access, clock
from core.db import db
from core.errors import NotFound
from surveys import wordings
from surveys.models import Survey, SurveyVersion
from surveys.scoring import Metric
from surveys.views import loading, staff
from surveys.wording_form import WordingForm

blueprint = Blueprint("survey_wordings", __name__)
ADDRESS = "/surveys/<key>/versions/<int:number>/wordings/<any(nps,csat,ces):metric>"


@blueprint.post(ADDRESS)
@access.needs("wordings.declare")
def declare(key: str, number: int, metric: str) -> Response:
    """Let the trend go on over this version's new wording."""
    survey, version = _of(key, number)
    form = WordingForm(prefix=metric)
    if not form.validate_on_submit():
        return staff.page(survey, version, wording=form, metric=metric, status=422)
    by = f"staff:{current_user.id}"
    wordings.declare(survey, version, Metric(metric), why=form.why.data or "", by=by, now=clock.now())
    db.session.commit()
    flash(_("The trend goes on over version %(number)s.", number=number), "success")
    return _back(key, number)


@blueprint.post(f"{ADDRESS}/withdrawal")
@access.needs("wordings.declare")
def withdraw(key: str, number: int, metric: str) -> Response:
    """Let the trend break at this version again."""
    survey, version = _of(key, number)
    wordings.withdraw(survey, version, Metric(metric), by=f"staff:{current_user.id}", now=clock.now())
    db.session.commit()
    flash(_("The trend starts anew at version %(number)s again.", number=number), "success")
    return _back(key, number)


def _of(key: str, number: int) -> tuple[Survey, SurveyVersion]:
    survey = loading.survey_of(key)
    version = next((each for each in loading.versions_of(survey) if each.number == number), None)
    if version is None:
        raise NotFound
    return survey, version


def _back(key: str, number: int) -> Response:
    return redirect(url_for("survey_books.show", key=key, version=number, _anchor="wordings"), 303)

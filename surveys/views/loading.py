"""What the staff pages of surveys share: one survey that its reader may see, its versions, and its page in a frame."""

from __future__ import annotations

from flask import make_response, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import visibility
from core import security
from core.db import db
from core.errors import NotFound
from customers.models import Brand
from surveys.models import InvitationState, Survey, SurveyVersion
from surveys.opened import Face, Opened


def survey_of(key: str, *, to_change: bool = False) -> Survey:
    """Return a survey that the signed-in member of staff may see; `to_change` locks it. Raises NotFound."""
    query = select(Survey).where(Survey.key == key).options(joinedload(Survey.brand))
    query = query.with_for_update(of=Survey) if to_change else query
    is_text = "\x00" not in key
    survey = db.session.scalar(visibility.visible_to(current_user, query, Survey.brand_id)) if is_text else None
    if survey is None:
        raise NotFound
    return survey


def versions_of(survey: Survey) -> list[SurveyVersion]:
    """Return the versions of a survey, the newest first."""
    query = select(SurveyVersion).where(SurveyVersion.survey_id == survey.id).order_by(SurveyVersion.number.desc())
    return list(db.session.scalars(query))


def chosen(versions: list[SurveyVersion]) -> SurveyVersion:
    """Return the version that the address names, else the one asked now, else the draft. Raises NotFound."""
    wanted = request.args.get("version", "")
    if wanted:
        found = next((each for each in versions if str(each.number) == wanted), None)
        if found is None:
            raise NotFound
        return found
    return next((each for each in versions if each.published_at), versions[0])


def preview_query() -> dict[str, str]:
    """Return what a preview's address carries."""
    return {name: request.args[name][:20] for name in ("version", "lang", "score") if name in request.args}


def nobody(brand: Brand, survey: Survey | None = None, version: SurveyVersion | None = None) -> Opened:
    """Return an opened link of nobody: somebody who could be rung and written to."""
    return Opened(
        invitation_id=None,
        public_id="",
        state=InvitationState.SENT,
        expires_at=None,
        survey_id=survey.id if survey else 0,
        version_id=version.id if version else 0,
        brand_id=brand.id,
        face=Face(brand.key, brand.name, brand.phone, brand.phone_hours, brand.reply_address, brand.privacy_url),
        zone=brand.zone,
        language=brand.language,
        channel="link",
        email="h@example.com",
        phone="+49405550000",
        calendar_id=brand.calendar_id,
    )


def with_frame(page: str, status: int = 200) -> Response:
    """Return a page that shows previews of ours in a frame, and nobody else's."""
    response = make_response(page, status)
    response.headers["Content-Security-Policy"] = f"{security.policy(security.csp_nonce())}; frame-src 'self'"
    return response


def in_frame(page: str) -> Response:
    """Return a page that pages of ours may show in a frame."""
    response = make_response(page)
    policy = security.policy(security.csp_nonce())
    response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response

"""Mails to members of staff: the link to a new password, and word that what they sign in with was changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

import structlog
from flask import current_app
from sqlalchemy import select

from accounts.models import Staff
from core import formats, i18n
from core.db import db
from customers.models import Brand
from notifications import messages

RESET_WITHIN: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


def send_reset(staff: Staff, *, path: str, now: datetime) -> None:
    """Post the mail with the reset link, at most one a minute. The link starts with our address, whatever Host says."""
    with i18n.use_language(staff.language, zone=staff.zone):
        until = formats.by_when(now + RESET_WITHIN, now)
    values = {"reset_url": _ours(path), "valid_until": until}
    _write_to(staff, "staff_reset", values, reason=f"staff:{staff.id}:{now:%Y%m%d%H%M}", now=now)


def tell_of_change(
    staff: Staff, what: Literal["password", "second_factor", "no_second_factor"], *, now: datetime
) -> None:
    """Post the mail that tells of a change of somebody's sign-in, for it may have been somebody else who made it."""
    with i18n.use_language(staff.language, zone=staff.zone):
        changed_at = f"{formats.day(now, 'full')}, {formats.time(now)}"
    values = {"because": what, "changed_at": changed_at, "reset_url": _ours(current_app.config["SECURITY_RESET_URL"])}
    _write_to(staff, "staff_changed", values, reason=f"{what}:{staff.id}:{now.isoformat()}", now=now)


def _ours(path: str) -> str:
    return f"{current_app.extensions['config'].base_url}{path}"


def _write_to(staff: Staff, kind: str, values: dict[str, str], *, reason: str, now: datetime) -> None:
    brand = staff.team.brand if staff.team and staff.team.brand else db.session.scalar(select(Brand).order_by(Brand.id))
    if brand is None:
        log.error("no_brand_to_write_as")
        return
    messages.post(
        kind,
        reason=reason,
        brand=brand,
        customer=None,
        language=staff.language,
        values={"name": staff.first_name, **values},
        to_address=staff.email,
        to_name=staff.name,
        now=now,
    )

"""Joins this room to the application: the desk, cases, the customer's case page."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flask import Flask, g
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import select

from core import clock, frame
from core.db import db
from core.frame import Entry
from feedback import (
    erasure,  # noqa: F401  # imported for what it hears
    queues,
    recomputing,  # noqa: F401  # imported for the outbox handler
)
from feedback.models import Case
from feedback.views import case, complaints, deadlines, desk, filing, merging, promises, public, several, trees
from incentives.cases import CaseName, named_by


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    for view in (desk, several, case, merging, promises, deadlines, filing, trees, public, complaints):
        app.register_blueprint(view.blueprint)
    frame.add(Entry("desk.show", _l("Recovery desk"), "mend", "desk.see", 10, count=open_cases))
    named_by(names_of)


def open_cases() -> str:
    """Return how many open cases this person sees, once per request; the desk counts them with its queues."""
    if "open_cases" not in g:
        g.open_cases = queues.count_open(current_user, now=clock.now()).shown
    shown: str = g.open_cases
    return shown


def names_of(case_ids: Collection[int]) -> Mapping[int, CaseName]:
    """Return how the rooms below call these cases, in one statement; workers, who know no addresses, ask as well."""
    found = db.session.execute(select(Case.id, Case.number, Case.public_id).where(Case.id.in_(case_ids)))
    return {row.id: CaseName(f"AM-{row.number}", f"/desk/cases/{row.number}", row.public_id) for row in found}
